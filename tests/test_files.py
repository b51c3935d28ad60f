"""Files of shipments are read line by line: what is wrong with one line is told, and takes no other with it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook.errors import InputError
from parcelhook.fulfillment.files import COLUMNS, BadLine, Entry, read_file
from parcelhook.fulfillment.intake import Wish

HEADING = ",".join(COLUMNS)


def written(folder: Path, text: str | bytes, *, name: str = "shipments.csv") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def entries(path: Path) -> list[Entry]:
    """Read a file in which every line is good."""
    read = read_file(path)
    assert [each for each in read if isinstance(each, BadLine)] == []
    return [each for each in read if isinstance(each, Entry)]


def bad(path: Path) -> BadLine:
    """Read a file that holds one line, a bad one."""
    (line,) = read_file(path)
    assert isinstance(line, BadLine)
    assert line.what_to_do
    return line


def test_a_line_is_a_wish(tmp_path: Path) -> None:
    """Every column arrives where it belongs, in whatever order the columns are."""
    text = (
        "quantity,key,line_item_id,tracking_url,tracking_number,carrier,order_id\n"
        "2,k-1,item,https://x.example/1,N1,ups,o-1\n"
    )

    (entry,) = entries(written(tmp_path, text))

    wish = Wish(
        order_id="o-1",
        carrier="ups",
        parcels=(("N1", "https://x.example/1"),),
        items={"item": 2},
        key="k-1",
        source="file",
    )
    assert (entry.line, entry.wish) == (2, wish)


def test_a_spreadsheets_file_is_read(tmp_path: Path) -> None:
    """A byte order mark, carriage returns, quotes, blanks and empty lines are as spreadsheets write them."""
    text = '\ufefforder_id,carrier,tracking_number\r\n"o-1", ups ,"N,1"\r\n\r\no-2,fedex,N2\r\n'

    first, second = entries(written(tmp_path, text))

    assert (first.line, first.wish.carrier, first.wish.parcels) == (2, "ups", (("N,1", None),))
    assert (second.line, second.wish.order_id) == (4, "o-2")


def test_empty_values_are_as_if_the_column_were_not_there(tmp_path: Path) -> None:
    """An empty link, item, quantity or key is none."""
    full, short = (
        entries(written(tmp_path, text))[0].wish
        for text in (f"{HEADING}\no-1,ups,N1, ,,,\n", "order_id,carrier,tracking_number\no-1,ups,N1\n")
    )

    assert full == short
    assert (full.items, full.key, full.parcels) == ({}, None, (("N1", None),))


def test_a_line_that_ends_early_is_read(tmp_path: Path) -> None:
    """Values that are left out at the end of a line are empty."""
    (entry,) = entries(written(tmp_path, f"{HEADING}\no-1,ups,N1\n"))

    assert entry.wish.items == {}


def test_an_item_without_a_quantity_is_all_that_remains_of_it(tmp_path: Path) -> None:
    """An empty quantity beside an item says so."""
    (entry,) = entries(written(tmp_path, f"{HEADING}\no-1,ups,N1,,item,,\n"))

    assert entry.wish.items == {"item": None}


@pytest.mark.parametrize(
    ("heading", "problem"),
    [
        ("order_id,carrier", "lacks the column tracking_number"),
        ("carrier", "lacks the columns order_id, tracking_number"),
        ("", "lacks the columns order_id, carrier, tracking_number"),
        ("order_id,carrier,tracking_number,weight", "has the unknown column weight"),
        ("order_id,carrier,tracking_number,carrier", "repeats the column carrier"),
        ("order_id;carrier;tracking_number", "lacks the columns"),
    ],
)
def test_a_heading_that_is_wrong_is_told_before_any_line(tmp_path: Path, heading: str, problem: str) -> None:
    """A missing, unknown or doubled column is an error of the whole file, which names it and the right ones."""
    with pytest.raises(InputError) as caught:
        read_file(written(tmp_path, f"{heading}\n"))

    assert problem in caught.value.message
    assert "order_id, carrier, tracking_number" in caught.value.what_to_do


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (",ups,N1,,,,", "order_id is missing"),
        ("o-1, ,N1,,,,", "carrier is missing"),
        ("o-1,ups,,,,,", "tracking_number is missing"),
        ("o-1,ups,N1,,item,0,", "quantity '0' is no number from 1"),
        ("o-1,ups,N1,,item,-1,", "quantity '-1'"),
        ("o-1,ups,N1,,item,1.5,", "quantity '1.5'"),
        ("o-1,ups,N1,,item,two,", "quantity 'two'"),
        ("o-1,ups,N1,,item,\u0662,", "quantity '\u0662'"),
        (f"o-1,ups,N1,,item,{'9' * 5000},", "quantity '999"),
        ("o-1,ups,N1,,,2,", "quantity without line_item_id"),
        ("o-1,ups,N1,https://x.example/a,b,item,1,", "more values than there are columns"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: str, problem: str) -> None:
    """What is wrong with a line is part of the answer, with the line and the order it is about."""
    found = bad(written(tmp_path, f"{HEADING}\n{line}\n"))

    assert problem in found.error
    assert (found.line, found.order_id) == (2, line.partition(",")[0])


def test_a_bad_line_takes_no_good_one_with_it(tmp_path: Path) -> None:
    """The lines around a bad one are read, in the order of the file."""
    read = read_file(written(tmp_path, f"{HEADING}\no-1,ups,N1,,,,\no-2,,N2,,,,\no-3,ups,N3,,,,\n"))

    assert [(type(each), each.line) for each in read] == [(Entry, 2), (BadLine, 3), (Entry, 4)]


def test_lines_of_one_parcel_are_one_wish(tmp_path: Path) -> None:
    """Lines that name one order, carrier and number put their items together, wherever they stand."""
    lines = "o-1,ups,N1,,a,1,\no-2,ups,N2,,a,1,\no-1,ups,N1,,b,2,\no-1,ups,N3,,c,,\n"

    read = entries(written(tmp_path, f"{HEADING}\n{lines}"))

    assert [(each.line, dict(each.wish.items)) for each in read] == [
        (2, {"a": 1, "b": 2}),
        (3, {"a": 1}),
        (5, {"c": None}),
    ]


@pytest.mark.parametrize(("first", "second"), [("a,1", "a,1"), ("a,1", "a,2"), (",", "a,1"), ("a,1", ","), (",", ",")])
def test_an_item_twice_is_an_error_and_no_sum(tmp_path: Path, first: str, second: str) -> None:
    """Whether the second line corrects or adds to the first, nobody can tell."""
    entry, line = read_file(written(tmp_path, f"{HEADING}\no-1,ups,N1,,{first},\no-1,ups,N1,,{second},\n"))

    assert isinstance(entry, Entry)
    assert isinstance(line, BadLine)
    assert (line.line, line.error) == (3, "line 2 says the same parcel and item already")


def test_lines_with_keys_of_their_own_are_parcels_of_their_own(tmp_path: Path) -> None:
    """A key tells two shipments apart."""
    read = entries(written(tmp_path, f"{HEADING}\no-1,ups,N1,,a,1,k-1\no-1,ups,N1,,a,1,k-2\n"))

    assert [each.wish.key for each in read] == ["k-1", "k-2"]


@pytest.mark.parametrize("name", ["shipments.jsonl", "SHIPMENTS.JSONL"])
def test_json_lines_say_the_same_as_csv(tmp_path: Path, name: str) -> None:
    """A JSON object a line has the columns as members; null is an empty value, a number is a number."""
    row = {"order_id": "o-1", "carrier": "ups", "tracking_number": 123, "line_item_id": "a", "quantity": 2, "key": None}

    (entry,) = entries(written(tmp_path, f"\ufeff\n{json.dumps(row)}\n\n", name=name))

    assert entry.line == 2
    assert entry.wish == entries(written(tmp_path, f"{HEADING}\no-1,ups,123,,a,2,\n"))[0].wish


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "no JSON object"),
        ("order_id,carrier", "no JSON object"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ("[" * 100_000, "no JSON object"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": ["N1"]}', "tracking_number is neither"),
        ('{"order_id": {"id": 1}}', "order_id is neither"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": "N1", "quantity": 1.0}', "quantity is neither"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": "N1", "quantity": true}', "quantity is neither"),
        ('{"order_id": "o-1", "trackingNumber": "N1"}', "unknown member 'trackingNumber'"),
        ('{"order_id": "o-1", "carrier": "ups"}', "tracking_number is missing"),
    ],
)
def test_a_bad_json_line_is_told(tmp_path: Path, line: str, problem: str) -> None:
    """What is no flat object of the known members is a bad line of its own."""
    good = '{"order_id": "o-2", "carrier": "ups", "tracking_number": "N2"}'

    first, second = read_file(written(tmp_path, f"{line}\n{good}\n", name="shipments.jsonl"))

    assert isinstance(first, BadLine)
    assert problem in first.error
    assert (first.line, first.order_id) == (1, "o-1" if '"o-1"' in line else "")
    assert isinstance(second, Entry)


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b'order_id,carrier,tracking_number\no-1,ups,"N1', b"\x80" * 10])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, text: bytes) -> None:
    """Bytes that are no text, and quotes that do not end, are an error of the whole file with its name."""
    with pytest.raises(InputError, match=r"shipments\.csv: cannot be read") as caught:
        read_file(written(tmp_path, text))

    assert "UTF-8" in caught.value.what_to_do


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file, or a folder, is an error with its name."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_file(path)


VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1).filter(
    lambda text: text.strip() == text
)


@given(st.lists(st.tuples(VALUE, VALUE, VALUE), unique=True))
def test_what_csv_holds_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    """Whatever text a value is, it is read as it was written."""
    path = tmp_path_factory.getbasetemp() / "back.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS[:3], *rows])

    read = [each.wish for each in entries(path)]

    assert [(wish.order_id, wish.carrier, wish.parcels[0][0]) for wish in read] == rows
