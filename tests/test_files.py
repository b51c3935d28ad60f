"""Files of shipments are read line by line: what is wrong with one line is told, and takes no other with it."""

from __future__ import annotations

import csv
import json
import os
import threading
import tracemalloc
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_samples import SAMPLES
from parcelhook.errors import InputError
from parcelhook.fulfillment.files import ADDED, COLUMNS, LINE_AT_MOST, BadLine, Line, opened

HEADING = ",".join(COLUMNS)
SHORT = "order_id,carrier,tracking_number"


def written(folder: Path, text: str | bytes, *, name: str = "shipments.csv") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(path: Path) -> list[Line | BadLine]:
    """Read a file."""
    with opened(path) as file:
        return list(file)


def rows(path: Path) -> list[dict[str, str]]:
    """Read a file in which every line is good, and leave out what is empty."""
    read = lines(path)
    assert [each for each in read if isinstance(each, BadLine)] == []
    return [{name: value for name, value in each.row.items() if value} for each in read]


def bad(path: Path) -> BadLine:
    """Read a file that holds one line, a bad one."""
    (line,) = lines(path)
    assert isinstance(line, BadLine)
    assert line.what_to_do
    return line


def refused(path: Path) -> InputError:
    """Read a file that is refused as a whole, and give the reason."""
    with pytest.raises(InputError) as caught:
        lines(path)
    assert caught.value.field == "--file"
    assert caught.value.what_to_do
    return caught.value


ROWS = [
    {"order_id": "o-1", "carrier": "ups", "tracking_number": "N1"},
    {"order_id": "o-2", "carrier": "fedex", "tracking_number": "N2"},
]
TEXT = f"{SHORT}\no-1,ups,N1\no-2,fedex,N2\n"


def test_every_column_arrives_where_it_belongs(tmp_path: Path) -> None:
    """In whatever order the columns are, each value is its own; the line's number and text are kept."""
    values = "2,k-1,item,https://x.example/1,N1,ups,o-1"
    text = f"quantity,key,line_item_id,tracking_url,tracking_number,carrier,order_id\n{values}\n"

    (line,) = lines(written(tmp_path, text))

    assert (line.number, line.raw) == (2, values)
    assert line.row == {
        "order_id": "o-1",
        "carrier": "ups",
        "tracking_number": "N1",
        "tracking_url": "https://x.example/1",
        "line_item_id": "item",
        "quantity": "2",
        "key": "k-1",
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_spreadsheets_file_is_read(tmp_path: Path, delimiter: str, end: str, encoding: str) -> None:
    """Whatever a spreadsheet on any system in any country saves: delimiters, ends of line, byte order marks, UTF-16."""
    text = TEXT.replace(",", delimiter).replace("\n", end).encode(encoding)

    assert rows(written(tmp_path, text)) == ROWS


def test_quotes_blanks_and_empty_rows_are_as_spreadsheets_write_them(tmp_path: Path) -> None:
    """A quoted value holds delimiters and quotes; rows of nothing, and of delimiters alone, are passed over."""
    text = f'{SHORT}\r\n"o-1", ups ,"N,1"\r\n\r\n,,\r\n , ,\r\n   \r\no-2,fedex,"the ""second"" one"\r\n'

    first, second = lines(written(tmp_path, text))

    assert (first.number, first.row["carrier"], first.row["tracking_number"]) == (2, "ups", "N,1")
    assert (second.number, second.row["tracking_number"]) == (7, 'the "second" one')


@pytest.mark.parametrize(
    "heading",
    ["Order ID,CARRIER,Tracking Number", "order-id, carrier ,tracking  number", "Order_Id,Carrier,Tracking-Number"],
)
def test_columns_are_named_as_people_write_them(tmp_path: Path, heading: str) -> None:
    """Capitals, blanks and hyphens make no other column."""
    assert rows(written(tmp_path, TEXT.replace(SHORT, heading))) == ROWS


def test_a_line_that_ends_early_is_read(tmp_path: Path) -> None:
    """Values that are left out at the end of a line are empty."""
    assert rows(written(tmp_path, f"{HEADING}\no-1,ups,N1\n")) == ROWS[:1]


@pytest.mark.parametrize(
    ("heading", "problem", "hint"),
    [
        ("order_id,carrier", "lacks the column tracking_number", ""),
        ("carrier", "lacks the columns order_id, tracking_number", ""),
        ("order_id,carrier,tracking_number,carrier", "repeats the column carrier", ""),
        ("order_id,Carrier,tracking_number,carrier", "repeats the column carrier", ""),
        ("order_id,carrier,traking_number", "unknown column traking_number", "Did you mean tracking_number?"),
        ("order_id,carrier,tracking_number,qantity", "unknown column qantity", "Did you mean quantity?"),
        ("oder_id,carier,tracking_number", "columns oder_id, carier", "Did you mean order_id, carrier?"),
        ("order_id|carrier|tracking_number", "lacks the columns", ""),
        ('"order_id,carrier,tracking_number', "lacks the columns", ""),
        ("order_id\0,carrier\0", "unknown columns", "Did you mean order_id, carrier?"),
    ],
)
def test_a_heading_that_is_wrong_is_told_before_any_line(tmp_path: Path, heading: str, problem: str, hint: str) -> None:
    """A missing, doubled or misspelt column is an error of the whole file, which names it and the right ones."""
    error = refused(written(tmp_path, f"{heading}\no-1,ups,N1\n"))

    assert problem in error.message
    assert hint in error.what_to_do
    assert ", ".join(COLUMNS) in error.what_to_do


def test_columns_that_mean_nothing_are_passed_over_and_known(tmp_path: Path) -> None:
    """Further columns, twice or without a name or in another encoding, are no error; they are told by name."""
    heading = f"{SHORT},Note,Note,,Größe,error,what_to_do\n".encode("latin-1")
    path = written(tmp_path, heading + b"o-1,ups,N1,a,b,c,d,e,f\n")

    with opened(path) as file:
        (line,) = file

    assert list(file.unknown) == ["Note", "Größe"]
    assert set(line.row) == {*SHORT.split(","), *ADDED}


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
        ('o-1,ups,"N1,,,,', "quotes cannot be read"),
        ('o-1,ups,"N"1,,,,', "quotes cannot be read"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: str, problem: str) -> None:
    """What is wrong with a line is part of the answer, with the line and the order it is about."""
    found = bad(written(tmp_path, f"{HEADING}\n{line}\n"))

    assert problem in found.error
    assert (found.number, found.raw, found.row["order_id"]) == (2, line, line.partition(",")[0])


@pytest.mark.parametrize(
    "middle", ['o-2,ups,"N2', '"o-2,ups,N2', "o-2,,N2", "o-2,ups,\x80", "\0\x01\x02\x7f", "o-2,ups,N2,,,,,,"]
)
def test_a_bad_line_in_the_middle_costs_no_other(tmp_path: Path, middle: str) -> None:
    """The lines around a bad one are read, also around a quote that is never closed."""
    good = [f"o-{number},ups,N{number}" for number in range(1000)]
    text = "\n".join([SHORT, *good[:500], middle, *good[500:]]).encode("latin-1")

    read = lines(written(tmp_path, text))

    assert [each.number for each in read if isinstance(each, BadLine)] == [502]
    assert [each.raw for each in read if isinstance(each, Line)] == good


@pytest.mark.parametrize(
    "number", ["7.94645E+11", "7,94645E+11", "8E+11", "7.94645e+11", "7.94645E11", "794645000000.00", "794645000000,0"]
)
def test_a_number_that_a_spreadsheet_spoiled_is_told_and_never_guessed(tmp_path: Path, number: str) -> None:
    """What is left of a number in exponents or with decimals is not the number."""
    found = bad(written(tmp_path, f'{SHORT}\no-1,fedex,"{number}"\n'))

    assert number in found.error
    assert "spreadsheet" in found.error
    assert "text" in found.what_to_do


def test_no_carriers_number_counts_as_spoiled(tmp_path: Path) -> None:
    """Numbers of every format of the built-in carriers are taken as they are, as is one with an E between digits."""
    random = Random(1)  # noqa: S311 - a repeatable choice, no secret
    numbers = [*(sample.number(random) for sample in SAMPLES), "123E4567"]
    text = "\n".join([SHORT, *(f"o-1,ups,{number}" for number in numbers)])

    assert [row["tracking_number"] for row in rows(written(tmp_path, text))] == numbers


@pytest.mark.parametrize("name", ["shipments.jsonl", "SHIPMENTS.JSONL"])
def test_json_lines_say_the_same_as_csv(tmp_path: Path, name: str) -> None:
    """A JSON object a line has the columns as members; null is an empty value, a number is a number."""
    row = {"order_id": "o-1", "carrier": "ups", "tracking_number": 123, "line_item_id": "a", "quantity": 2, "key": None}

    assert rows(written(tmp_path, f"\ufeff\n{json.dumps(row)}\n\n", name=name)) == rows(
        written(tmp_path, f"{HEADING}\no-1,ups,123,,a,2,\n")
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "no JSON object"),
        ("order_id,carrier", "no JSON object"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ("\0", "no JSON object"),
        (f'{{"order_id": "o-1", "quantity": {"9" * 5000}}}', "no JSON object"),
        ("[" * 99_999, "no JSON object"),
        (f'{{"order_id": {"[" * 900}{"]" * 900}}}', "order_id is neither"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": ["N1"]}', "tracking_number is neither"),
        ('{"order_id": {"id": 1}}', "order_id is neither"),
        ('{"order_id": "\\ud800", "carrier": "ups", "tracking_number": "N1"}', "order_id is neither"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": 7.9e+11}', "tracking_number is neither"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": NaN}', "tracking_number is neither"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": "N1", "quantity": 1.0}', "quantity is neither"),
        ('{"order_id": "o-1", "carrier": "ups", "tracking_number": "N1", "quantity": true}', "quantity is neither"),
        ('{"order_id": "o-1", "trackingNumber": "N1"}', "unknown member trackingNumber"),
        ('{"order_id": "o-1", "tracking_number\\ud800": "N1"}', "unknown member tracking_number\\ud800"),
        ('{"order_id": "o-1", "carrier": "ups"}', "tracking_number is missing"),
    ],
)
def test_a_bad_json_line_is_told(tmp_path: Path, line: str, problem: str) -> None:
    """What is no flat object of texts and whole numbers is a bad line of its own."""
    good = '{"order_id": "o-2", "carrier": "ups", "tracking_number": "N2"}'

    first, second = lines(written(tmp_path, f"{line}\n{good}\n", name="shipments.jsonl"))

    assert isinstance(first, BadLine)
    assert problem in first.error
    assert (first.number, first.row.get("order_id", "")) in {(1, "o-1"), (1, "")}
    assert isinstance(second, Line)
    for text in (first.error, first.what_to_do, *first.row.values()):
        text.encode()


def test_members_that_mean_nothing_are_passed_over_and_known(tmp_path: Path) -> None:
    """Each is told once, and no more of them than a person could read."""
    good = [{**ROWS[0], "note": 1.5, f"more-{number}": [number]} for number in range(500)]
    path = written(tmp_path, "\n".join(map(json.dumps, good)), name="shipments.jsonl")

    with opened(path) as file:
        assert {type(line) for line in file} == {Line}

    assert list(file.unknown)[:2] == ["note", "more-0"]
    assert len(file.unknown) == 100


def test_a_line_of_many_megabytes_is_one_bad_line(tmp_path: Path) -> None:
    """No more of it is in memory than a line may be long, wherever it stands and whether or not it ends."""
    good = json.dumps(ROWS[0])
    for text in (f"{'x' * 10_000_000}\n{good}\n", f"{good}\n{'x' * 10_000_000}"):
        path = written(tmp_path, text, name="shipments.jsonl")
        tracemalloc.start()
        with opened(path) as file:
            read = [(each.number, isinstance(each, BadLine)) for each in file]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert read == ([(1, True), (2, False)] if text.startswith("x") else [(1, False), (2, True)])
        assert peak < 20 * LINE_AT_MOST


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "no heading"),
        (b"\n\n  \n", "no heading"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"\xff\xfeo\x00\x00\xd8", "cannot be read"),
        (b"\x80" * 10, "lacks the columns"),
        (bytes(range(256)) * 50, "lacks the columns"),
        (b"x" * 200_000, "no heading"),
    ],
    ids=["empty", "blank", "half a character", "broken UTF-16", "no text", "garbage", "one long line"],
)
def test_what_is_no_file_of_shipments_is_told(tmp_path: Path, text: bytes, problem: str) -> None:
    """What has no heading that can be understood is an error of the whole file."""
    assert problem in refused(written(tmp_path, text)).message


def test_a_heading_alone_lists_nothing(tmp_path: Path) -> None:
    """A file of no lines, or JSON lines of none, is read."""
    assert lines(written(tmp_path, f"{HEADING}\n")) == []
    assert lines(written(tmp_path, "", name="none.jsonl")) == []


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file or a folder is an error with its name; a device that holds nothing has no heading."""
    for path in (tmp_path / "none.csv", tmp_path):
        assert f"{path}: cannot be read" in refused(path).message
    assert "no heading" in refused(Path("/dev/null")).message


@pytest.mark.parametrize("name", ["pipe", "pipe.jsonl"])
def test_a_pipe_is_read_from_its_first_byte(tmp_path: Path, name: str) -> None:
    """What a pipe gives it gives once."""
    path = tmp_path / name
    os.mkfifo(path)
    text = TEXT if name == "pipe" else "\n".join(map(json.dumps, ROWS))
    writer = threading.Thread(target=path.write_text, args=[text])
    writer.start()

    found = rows(path)
    writer.join()

    assert found == ROWS


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """What grew, was cut or was written anew under the reader's hands may be half of something."""
    text = TEXT + "o-3,ups,N3\n" * 20_000

    def read_while(change: str) -> None:
        path = written(tmp_path, text)
        with opened(path) as file:
            for line in file:
                if line.number == 2:
                    with path.open("a" if change == "grow" else "r+") as other:
                        other.write("o-9,ups,N9\n" if change == "grow" else "o-9")
                        if change == "cut":
                            other.truncate(1000)

    for change in ("grow", "cut", "rewrite"):
        with pytest.raises(InputError, match="was changed while it was read"):
            read_while(change)


def test_a_file_that_vanishes_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    """What was opened stays whole: a file that is put in its place is another one."""
    path = written(tmp_path, TEXT)
    with opened(path) as file:
        reading = iter(file)
        read = [next(reading)]
        path.unlink()
        written(tmp_path, "something else")
        read += reading

    assert [each.row["order_id"] for each in read] == ["o-1", "o-2"]


VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1).filter(
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

    read = [each.row for each in lines(path)]

    assert [tuple(row.values()) for row in read] == rows


@given(st.binary(max_size=500), st.sampled_from(["any.csv", "any.jsonl"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    """Whatever a file holds, its lines are told or it is refused, and all that is told can be written down."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes((b"order_id,carrier,tracking_number\n" if name == "any.csv" else b"") + data)
    try:
        read = lines(path)
    except InputError:
        return

    for line in read:
        for text in (line.raw, *line.row.values(), *([line.error] if isinstance(line, BadLine) else [])):
            text.encode()
