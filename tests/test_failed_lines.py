"""Lines that were not shipped are handed back as they were, with what is wrong, and can be corrected and shipped."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook.cli.failed_lines import FailedLines
from parcelhook.errors import InputError
from parcelhook.fulfillment.files import BadLine, Form, Line, opened

SHORT = "order_id,carrier,tracking_number"


def written(folder: Path, text: str | bytes, *, name: str = "shipments.csv") -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(path: Path) -> tuple[Form, list[Line | BadLine]]:
    """Read a file."""
    with opened(path) as file:
        return file.form, list(file)


def handed_back(source: Path, *, to: str = "failed") -> Path:
    """Hand all lines of a file back, as the command does."""
    form, read = lines(source)
    path = source.with_name(f"{to}{source.suffix}")
    with FailedLines(path, source, form) as failed:
        failed.write((each.number, each.raw, getattr(each, "error", "it failed"), "Mend it.") for each in read)
    return path


def table(path: Path) -> list[list[str]]:
    """Read what a CSV file holds."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def refused(path: Path, source: Path) -> str:
    """Try to write to a file that must not be written to, and give the reason."""
    with pytest.raises(InputError) as caught, FailedLines(path, source, Form(",")):
        pytest.fail("it was opened")
    assert caught.value.field == "--failed-to"
    assert caught.value.what_to_do
    return caught.value.message


def test_all_columns_stay_and_two_are_added(tmp_path: Path) -> None:
    """Also those that mean nothing, under the names they had, with the values as they were."""
    source = written(tmp_path, 'Note, Order ID ,carrier,tracking_number,\n"a, ""b""", o-1 ,ups,N1,x\n')

    assert table(handed_back(source)) == [
        ["Note", " Order ID ", "carrier", "tracking_number", "", "error", "what_to_do"],
        ['a, "b"', " o-1 ", "ups", "N1", "x", "line 2: it failed", "Mend it."],
    ]


def test_what_is_handed_back_again_has_the_two_columns_once(tmp_path: Path) -> None:
    """The error of the last run replaces that of the one before."""
    again = handed_back(handed_back(written(tmp_path, f"{SHORT}\no-1,ups,N1\n")), to="again")

    assert table(again) == [
        [*SHORT.split(","), "error", "what_to_do"],
        ["o-1", "ups", "N1", "line 2: it failed", "Mend it."],
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_file_is_of_the_form_of_the_one_it_comes_from(tmp_path: Path, delimiter: str, encoding: str) -> None:
    """With its delimiter, in UTF-8, and read again as the same lines."""
    text = f"{SHORT}\r\no-1,ups,N1\r\no-2,fedex,N2\r\n".replace(",", delimiter).encode(encoding)
    source = written(tmp_path, text)

    form, read = lines(handed_back(source))

    assert form.delimiter == delimiter
    assert [[each.row[name] for name in SHORT.split(",")] for each in read] == [
        ["o-1", "ups", "N1"],
        ["o-2", "fedex", "N2"],
    ]


@pytest.mark.parametrize(
    "bad",
    [
        "o-1,ups,N1,https://x.example/a,b",
        'o-1,ups,"N1,https://x.example',
        'o-1,ups,"N"1,',
        "o-1,,N1,",
        "o-1,ups,7.9E+11,",
        'o-1,ups,N1,"https://x.example',
    ],
)
def test_a_bad_line_stays_bad_until_it_is_corrected(tmp_path: Path, bad: str) -> None:
    """Handed back unread it would be guessed at; nothing of its text is lost."""
    source = written(tmp_path, f"{SHORT},tracking_url\n{bad}\n")

    _, read = lines(path := handed_back(source))

    assert [type(each) for each in read] == [BadLine]
    assert set(bad.replace('"', "").split(",")) <= set(path.read_text().replace('"', "").replace("\n", ",").split(","))


def test_what_is_no_utf_8_is_handed_back_readable(tmp_path: Path) -> None:
    """A line in an old encoding becomes the text it most probably is, and so does the heading."""
    source = written(tmp_path, f"{SHORT},Straße\no-1,ups,N1,Köln\n".encode("latin-1"))

    heading, line = table(handed_back(source))

    assert (heading[3], line[3]) == ("Straße", "Köln")


def test_a_line_that_is_too_long_is_named_by_its_number(tmp_path: Path) -> None:
    """Of such a line nothing was kept."""
    _, line = table(handed_back(written(tmp_path, f"{SHORT}\no-1,ups,{'x' * 200_000}\n")))

    assert line[:3] == ["", "", ""]
    assert line[3].startswith("line 2: it is longer than")


def test_json_lines_are_handed_back_as_objects(tmp_path: Path) -> None:
    """All members stay and two are added; of what is no object there is no more than its number."""
    row = {"order_id": "o-1", "carrier": "ups", "tracking_number": 1, "note": {"a": ["\ud800"]}, "error": "old"}
    source = written(tmp_path, f"{json.dumps(row)}\n[1]\n{'[' * 90_000}\n", name="shipments.jsonl")

    back = [json.loads(line) for line in handed_back(source).read_text().splitlines()]

    assert back == [
        row | {"error": "line 1: it failed", "what_to_do": "Mend it."},
        {"error": "line 2: it is no JSON object", "what_to_do": "Mend it."},
        {"error": "line 3: it is no JSON object", "what_to_do": "Mend it."},
    ]


VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))


@given(st.lists(st.tuples(VALUE, VALUE, VALUE, VALUE), max_size=5))
def test_what_a_line_held_is_handed_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]]
) -> None:
    """Whatever the texts are."""
    source = tmp_path_factory.getbasetemp() / "held.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[*SHORT.split(","), "note"], *rows])
    _, read = lines(source)

    back = table(handed_back(source, to="held-back"))

    given_ = dict(enumerate(rows, 2))
    assert [tuple(row[:4]) for row in back[1:]] == [given_[each.number] for each in read]


# Where it goes


def test_the_file_that_is_to_be_shipped_is_never_written_to(tmp_path: Path) -> None:
    """By no other name of it either: a link, a hard link, or a name that ends otherwise."""
    source = written(tmp_path, "precious")
    (tmp_path / "link").symlink_to(source)
    os.link(source, tmp_path / "hard")

    for path in (source, tmp_path / "link", tmp_path / "hard", tmp_path / "." / source.name):
        assert "is the file that is to be shipped" in refused(path, source)
    part = written(tmp_path, "precious", name="failed.csv.part")
    with FailedLines(tmp_path / "failed.csv", part, Form(",")) as failed:
        failed.write([])

    assert {source.read_text(), part.read_text()} == {"precious"}


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    """A folder, a device, a pipe, a folder that is not there: each is refused before anything is sent."""
    source = written(tmp_path, "precious")
    os.mkfifo(tmp_path / "pipe")

    assert "is a folder" in refused(tmp_path, source)
    assert "is no file" in refused(Path("/dev/null"), source)
    assert "is no file" in refused(tmp_path / "pipe", source)
    assert "cannot be written" in refused(tmp_path / "none" / "failed.csv", source)
    assert "cannot be written" in refused(tmp_path / ("x" * 300), source)
    assert Path("/dev/null").is_char_device()


def test_a_source_that_is_gone_is_no_obstacle(tmp_path: Path) -> None:
    """It was read already."""
    path = written(tmp_path, "of another run", name="failed.csv")

    with FailedLines(path, tmp_path / "gone.csv", Form(",")) as failed:
        failed.write([])

    assert table(path) == [["error", "what_to_do"]]


def test_the_file_appears_once_it_is_complete(tmp_path: Path) -> None:
    """Where a run ends before, the one of the run before stays, and nothing is left beside it."""
    source, path = written(tmp_path, f"{SHORT}\n"), written(tmp_path, "before", name="failed.csv")

    def die() -> None:
        with FailedLines(path, source, lines(source)[0]) as failed:
            failed.write(iter_that_dies())

    def iter_that_dies() -> list[tuple[int, str, str, str]]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die()

    assert path.read_text() == "before"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["failed.csv", "shipments.csv"]
