"""``fulfill --file``: an operator ships a file, is told about every line, and can correct what is left."""

from __future__ import annotations

import csv
import json
import os
import pty
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli_shops import LINE, LINE_2, Operator, number
from parcelhook.ledger import Ledger

pytest_plugins = ["stores", "cli_stores"]

HEADING = ("order_id", "carrier", "tracking_number")
TWO_ITEMS = [{"quantity": 2}, {"quantity": 1}]
STRANGE = "99999999-9999-4999-8999-999999999999"
FILE = "shipments.csv"

Json = dict[str, Any]


def orders(operator: Operator, count: int, *, items: list[Json] | None = None) -> list[str]:
    """Make orders."""
    body = {"count": count, "items": items or [{"quantity": 1}]}
    made: list[str] = operator.control("POST", "orders", body)["order_ids"]
    return made


def written(operator: Operator, rows: Sequence[Sequence[str]], *, heading: Sequence[str] = HEADING) -> Path:
    """Write a CSV file."""
    path = operator.shell.folder / FILE
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heading, *rows])
    return path


def listed(order_ids: Sequence[str]) -> list[list[str]]:
    """Give one row for each order."""
    return [[order_id, "dhl", number()] for order_id in order_ids]


def told_of(path: Path) -> list[dict[str, str]]:
    """Read a CSV file by its columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def counts(operator: Operator, order_ids: Sequence[str]) -> list[int]:
    """Count the fulfillments of orders at Wix."""
    fulfillments = operator.control("GET", "fulfillments")
    return [len(fulfillments[order_id]) for order_id in order_ids]


def is_untouched(operator: Operator) -> bool:
    """Tell whether the ledger knows of no shipment."""
    with Ledger.open(operator.ledger_url) as ledger:
        return not ledger.shipments.find()


def summary(told: Mapping[str, Any]) -> dict[str, int]:
    """Give the counts of an answer that are not zero."""
    names = ("total", "created", "existing", "failed", "needs_review", "undecided", "waiting", "not_begun", "valid")
    return {name: told[name] for name in names if told[name]}


# What is told


def test_a_file_is_shipped_and_told_as_json(operator: Operator) -> None:
    """Counts, calls, and an item a line; the same again finds everything, without a call."""
    order_ids = orders(operator, 3)
    written(operator, listed(order_ids))

    told = operator.json("fulfill", "--file", FILE)

    assert summary(told) == {"total": 3, "created": 3}
    assert told["calls"] == {"create": 1, "read": 1}
    assert (told["dry_run"], told["unknown_columns"]) == (False, [])
    fulfillments = [operator.fulfillments(order_id)[0]["id"] for order_id in order_ids]
    assert told["items"] == [
        {
            "line": line,
            "order_id": order_id,
            "state": "CREATED",
            "fulfillment_id": fulfillment,
            "error": "",
            "what_to_do": "",
        }
        for line, order_id, fulfillment in zip((2, 3, 4), order_ids, fulfillments, strict=True)
    ]
    again = operator.json("fulfill", "--file", FILE)
    assert summary(again) == {"total": 3, "existing": 3}
    assert again["calls"] == {"create": 0, "read": 0}


def test_a_file_is_told_to_a_person(operator: Operator) -> None:
    """One sentence where all is well; else a table of what is left, and how to get it into a file."""
    first, second = orders(operator, 2)
    rows = [[first, "dhl", number()], [second, "upss", number()], [STRANGE, "dhl", number()]]
    written(operator, rows[:1])
    assert operator.run("fulfill", "--file", FILE).stdout == "1 parcel: 1 created.\n"
    written(operator, rows)

    result = operator.run("fulfill", "--file", FILE)

    assert result.exit_code == 3
    sentence, heading, *lines = result.stdout.splitlines()
    assert sentence == "3 parcels: 1 existing, 2 failed."
    assert heading.split() == ["line", "order", "problem", "what", "to", "do"]
    assert [line.split()[:2] for line in lines[:2]] == [["3", second], ["4", STRANGE]]
    assert "upss" in lines[0]
    assert "--failed-to" in lines[2]


def test_no_more_is_told_than_a_person_reads(operator: Operator) -> None:
    """Twenty lines in the table, ten warnings, and how many more there are."""
    written(
        operator,
        [[STRANGE, "", "N1"]] * 30
        + [[order_id, "dhl", f"X{place}Y"] for place, order_id in enumerate(orders(operator, 13))],
    )

    result = operator.run("fulfill", "--file", FILE)

    assert result.exit_code == 3
    assert len(result.stdout.splitlines()) == 24
    assert "And 10 more." in result.stdout
    assert result.stderr.count("does not look like a number of DHL") == 10
    assert "3 more numbers do not look like their carrier's" in result.stderr


def test_a_heading_alone_is_nothing_to_do(operator: Operator) -> None:
    """And no call."""
    written(operator, [])

    result = operator.run("fulfill", "--file", FILE)

    assert (result.exit_code, result.stdout) == (0, "0 parcels: nothing to do.\n")
    assert operator.json("fulfill", "--file", FILE)["calls"] == {"create": 0, "read": 0}


def test_progress_is_told_line_by_line_in_a_log(operator: Operator) -> None:
    """One line a call, on stderr."""
    written(operator, listed(orders(operator, 120)))

    result = operator.run("--json", "fulfill", "--file", FILE)

    told = [line for line in result.stderr.splitlines() if not line.startswith("Warning: ")]
    assert told == ["100 of 120 parcels dealt with", "120 of 120 parcels dealt with"]
    assert json.loads(result.stdout)["created"] == 120


def test_progress_is_a_bar_on_a_terminal(operator: Operator) -> None:
    """The bar is on stderr; stdout holds what it holds elsewhere."""
    written(operator, listed(orders(operator, 2)))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "parcelhook", "--json", "fulfill", "--file", FILE],
        cwd=operator.shell.folder,
        env={**operator.shell.environment(), "TERM": "xterm", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        out, _ = process.communicate(timeout=40)
    shown = b""
    # On Linux, a terminal that nobody holds any more ends in an error.
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        os.close(ours)

    assert json.loads(out)["created"] == 2
    assert b"2/2" in shown
    assert "━".encode() in shown


# Calls


@pytest.mark.parametrize("parcels", [1, 2])
def test_calls_are_few(operator: Operator, parcels: int) -> None:
    """A hundred orders cost a create and a read, with two parcels an order too, and half of them shipped before."""
    order_ids = orders(operator, 300, items=TWO_ITEMS)
    rows = [
        [order_id, ("dhl", "ups", "fedex")[place % 3], number(), item, quantity]
        for item, quantity in ((LINE, "2"), (LINE_2, "1"))[:parcels]
        for place, order_id in enumerate(order_ids)
    ]
    heading = [*HEADING, "line_item_id", "quantity"]
    half = [row for place, row in enumerate(rows) if place % len(order_ids) % 2]
    written(operator, half, heading=heading)
    assert operator.json("fulfill", "--file", FILE)["calls"] == {"create": 2, "read": 2}
    written(operator, rows, heading=heading)

    told = operator.json("fulfill", "--file", FILE)

    assert summary(told) == {"total": 300 * parcels, "created": 150 * parcels, "existing": 150 * parcels}
    assert told["calls"] == {"create": 2, "read": 2}
    assert counts(operator, order_ids) == [parcels] * 300


# What is wrong with a file


def test_bad_lines_in_the_middle_cost_no_other(operator: Operator) -> None:
    """Whatever they hold; each is told by its line."""
    good = listed(orders(operator, 60))
    path = written(operator, good)
    lines = path.read_bytes().splitlines()
    lines[30:30] = [b'x,dhl,"never closed', b"\x00\xff\x00", b"", b",,", b"x,dhl,7.94645E+11", b"y" * 200_000]
    path.write_bytes(b"\r\n".join(lines))

    told = operator.json("fulfill", "--file", FILE, code=3)

    assert summary(told) == {"total": 64, "created": 60, "failed": 4}
    failed = {each["line"]: each["error"] for each in told["items"] if each["state"] == "FAILED"}
    assert list(failed) == [31, 32, 35, 36]
    assert "quotes cannot be read" in failed[31]
    assert "spreadsheet" in failed[35]


@pytest.mark.parametrize("name", ["none.csv", ".", "/dev/null", "empty.csv", "latin.csv", "typo.csv", "unreadable.csv"])
@pytest.mark.parametrize("option", ["--no-plugins", "--dry-run"])
def test_a_file_that_cannot_be_used_is_told_in_plain_words(operator: Operator, name: str, option: str) -> None:
    """Exit code 2, what to do about it, and nothing was done."""
    operator.shell.write("empty.csv", "")
    operator.shell.write("typo.csv", "order_id,carrier,traking_number\no-1,dhl,1\n")
    (operator.shell.folder / "latin.csv").write_bytes("Größe;Maß\n1;2\n".encode("latin-1"))
    (operator.shell.folder / "unreadable.csv").symlink_to("unreadable.csv")
    before = len(operator.sandbox.sandbox.calls.made)

    words = operator.refused("fulfill", "--file", name, option)
    told = operator.json("fulfill", "--file", name, code=2)

    assert words.startswith("Error: ")
    assert told["error"]["field"] == "--file"
    assert told["error"]["what_to_do"]
    assert ("Did you mean tracking_number?" in words) == (name == "typo.csv")
    assert len(operator.sandbox.sandbox.calls.made) == before
    assert is_untouched(operator)


def test_columns_that_mean_nothing_are_named_and_kept(operator: Operator) -> None:
    """In a warning, in JSON, and in the file of what is left; spellings of people are understood."""
    (order_id,) = orders(operator, 1)
    heading = ["Order ID", "Buyer", "Carrier", "Tracking Number"]
    written(operator, [[order_id, "Ann", "dhl", number()], [STRANGE, "Bob", "dhl", number()]], heading=heading)

    result = operator.run("--json", "fulfill", "--file", FILE, "--failed-to", "failed.csv")

    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert "the column Buyer means nothing here" in result.stderr
    assert told["unknown_columns"] == ["Buyer"]
    (left,) = told_of(operator.shell.folder / "failed.csv")
    assert list(left) == [*heading, "error", "what_to_do"]
    assert (left["Buyer"], left["Order ID"]) == ("Bob", STRANGE)


@pytest.mark.parametrize("column", range(8))
def test_hostile_text_never_reaches_the_terminal(operator: Operator, column: int) -> None:
    """Escapes in any column, known or not, are shown as what they are."""
    evil = "\x1b]0;pwned\x07\x1b[2J\u202e"
    row = [orders(operator, 1)[0], "dhl", number(), "https://www.dhl.com/x", LINE, "1", "k", "note"]
    heading = [*HEADING, "tracking_url", "line_item_id", "quantity", "key", "note"]
    row[column] = evil + row[column]
    heading[7] += evil
    written(operator, [row], heading=heading)

    for result in (operator.run("fulfill", "--file", FILE), operator.run("--json", "fulfill", "--file", FILE)):
        assert result.exit_code == (0 if column == 7 else 3), result.output
        assert not {"\x1b", "\x07", "\u202e"} & set(result.output)
        assert "internal error" not in result.output


# Rehearsals


def test_a_rehearsal_ships_nothing(operator: Operator) -> None:
    """It says what could be shipped, with the exit codes of a run."""
    order_ids = orders(operator, 3)
    rows = listed(order_ids)
    written(operator, rows)

    told = operator.json("fulfill", "--file", FILE, "--dry-run")

    assert summary(told) == {"total": 3, "valid": 3}
    assert told["dry_run"] is True
    assert told["calls"] == {"create": 0, "read": 1}
    assert operator.run("fulfill", "--file", FILE, "--dry-run").stdout == "3 parcels: 3 valid.\n"
    written(operator, [*rows, [STRANGE, "dhl", number()]])
    assert summary(operator.json("fulfill", "--file", FILE, "--dry-run", code=3)) == {
        "total": 4,
        "valid": 3,
        "failed": 1,
    }
    assert counts(operator, order_ids) == [0, 0, 0]
    assert is_untouched(operator)


def test_a_rehearsal_without_wix_ends_with_wix_error(operator: Operator) -> None:
    """Nothing can be said about the lines then."""
    written(operator, listed(orders(operator, 2)))
    operator.fault("token", status=401, times=9)

    assert "Error" in operator.refused("fulfill", "--file", FILE, "--dry-run", code=4)


# What is left


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_is_left_is_corrected_and_shipped(operator: Operator, kind: str) -> None:
    """The file of what is left is given to --file as it is, once corrected, and ships exactly the rest."""
    order_ids = orders(operator, 5, items=TWO_ITEMS)
    rows = [
        {"order_id": order_ids[0], "carrier": "dhl", "tracking_number": number(), "line_item_id": "", "quantity": ""},
        {"order_id": order_ids[1], "carrier": "", "tracking_number": number(), "line_item_id": "", "quantity": ""},
        {
            "order_id": order_ids[2],
            "carrier": "dhl",
            "tracking_number": number(),
            "line_item_id": LINE,
            "quantity": "9",
        },
        {"order_id": order_ids[2], "carrier": "dhl", "tracking_number": number(), "line_item_id": "", "quantity": ""},
        {"order_id": order_ids[3], "carrier": "dhl", "tracking_number": "7.9E+11", "line_item_id": "", "quantity": ""},
        {
            "order_id": order_ids[4],
            "carrier": "dhl",
            "tracking_number": number(),
            "line_item_id": LINE,
            "quantity": "2",
        },
    ]
    file, left = f"shipments.{kind}", operator.shell.folder / f"failed.{kind}"
    heading = list(rows[0])
    if kind == "csv":
        written(operator, [list(row.values()) for row in rows], heading=heading)
    else:
        operator.shell.write(file, "\n".join(map(json.dumps, rows)))

    told = operator.json("fulfill", "--file", file, "--failed-to", left.name, code=3)

    assert summary(told) == {"total": 6, "created": 2, "failed": 4}
    back = told_of(left) if kind == "csv" else [json.loads(line) for line in left.read_text().splitlines()]
    assert [{name: row[name] for name in heading} for row in back] == rows[1:5]
    assert all(row["error"].startswith("line ") and row["what_to_do"] for row in back)
    assert summary(operator.json("fulfill", "--file", left.name, code=3)) == {"total": 4, "failed": 4}
    back[0]["carrier"], back[1]["quantity"], back[3]["tracking_number"] = "ups", "1", number()
    if kind == "csv":
        with left.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([list(back[0]), *(list(row.values()) for row in back)])
    else:
        left.write_text("\n".join(map(json.dumps, back)))
    again = operator.json("fulfill", "--file", left.name, "--failed-to", left.name + ".2")
    assert summary(again) == {"total": 4, "created": 4}
    assert counts(operator, order_ids) == [1, 1, 2, 1, 1]


def test_the_file_of_what_is_left_is_refused_before_anything_is_sent(operator: Operator) -> None:
    """It may not be the file itself, a folder, a device, or where nothing can be written."""
    written(operator, listed(orders(operator, 1)))
    (operator.shell.folder / "link.csv").symlink_to(FILE)

    for name in (FILE, f"./{FILE}", "link.csv", ".", "/dev/full", "none/failed.csv"):
        assert "Error" in operator.refused("fulfill", "--file", FILE, "--failed-to", name)

    assert is_untouched(operator)
    assert len(told_of(operator.shell.folder / FILE)) == 1


def test_options_that_need_a_file_are_refused_without_one(operator: Operator) -> None:
    """And --file with an order."""
    for arguments in (
        ["o-1", "--dry-run"],
        ["--failed-to", "x"],
        ["o-1", "--file", FILE],
        ["--file", FILE, "--key", "k"],
    ):
        operator.refused("fulfill", *arguments)


# Where Wix takes no calls


def test_refused_credentials_end_a_run_at_once(operator: Operator) -> None:
    """Exit code 4, no flood of calls, and what was not begun is told as such."""
    order_ids = orders(operator, 250)
    written(operator, listed(order_ids))
    operator.fault("search-orders", status=403, times=99)
    before = len(operator.sandbox.sandbox.calls.made)

    told = operator.json("fulfill", "--file", FILE, "--failed-to", "left.csv", code=4)

    assert summary(told) == {"total": 250, "waiting": 100, "not_begun": 150}
    assert len(operator.sandbox.sandbox.calls.made) - before <= 4
    assert {each["what_to_do"] != "" for each in told["items"]} == {True}
    assert len(told_of(operator.shell.folder / "left.csv")) == 250
    operator.control("DELETE", "faults")
    assert summary(operator.json("fulfill", "--file", FILE)) == {"total": 250, "created": 250}
    assert counts(operator, order_ids) == [1] * 250


def test_wix_down_from_the_start_ends_after_one_wait(operator: Operator) -> None:
    """Exit code 4, nothing half done, and a person is told what to do: the same again."""
    order_ids = orders(operator, 150)
    written(operator, listed(order_ids))
    operator.fault("search-orders", status=503, retry_after=1, times=99)

    result = operator.run("fulfill", "--file", FILE)

    assert result.exit_code == 4
    assert result.stderr.count("Waiting until") == 1
    assert "100 waiting, 50 not begun" in result.stdout
    assert counts(operator, order_ids) == [0] * 150
    operator.control("DELETE", "faults")
    assert summary(operator.json("fulfill", "--file", FILE)) == {"total": 150, "created": 150}


def test_limits_are_waited_for_and_told(operator: Operator) -> None:
    """After 429 the run goes on by itself, and says until when it waits."""
    order_ids = orders(operator, 120)
    written(operator, listed(order_ids))
    operator.fault("bulk-create", status=429, retry_after=1, times=4)

    result = operator.run("--json", "fulfill", "--file", FILE)

    assert result.exit_code == 0
    assert "Waiting until" in result.stderr
    assert summary(json.loads(result.stdout)) == {"total": 120, "created": 120}
    assert counts(operator, order_ids) == [1] * 120


def test_a_connection_that_breaks_in_the_middle_doubles_nothing(operator: Operator) -> None:
    """What is open is looked up at the end, when Wix must have settled."""
    operator.sets(SETTLE_SECONDS="1")
    order_ids = orders(operator, 120)
    written(operator, listed(order_ids))
    operator.fault("bulk-create", effect="untold")

    told = operator.json("fulfill", "--file", FILE)

    assert summary(told) == {"total": 120, "created": 120}
    assert told["calls"]["create"] == 2
    assert counts(operator, order_ids) == [1] * 120


# Where the disk is full


def limited(operator: Operator, *arguments: str, size: int) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file larger than so many bytes."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-m", "parcelhook", *arguments],
        cwd=operator.shell.folder,
        env=operator.shell.environment(),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_disk_without_room_for_the_file_s_lines_is_told(operator: Operator) -> None:
    """Exit code 6, and nothing was done."""
    operator.shell.write("shipments.jsonl", "\n".join([json.dumps({"note": "x" * 90_000})] * 40))

    ended = limited(operator, "--json", "fulfill", "--file", "shipments.jsonl", size=2_000_000)

    assert ended.returncode == 6
    assert "cannot be kept in" in json.loads(ended.stdout)["error"]["message"]
    assert is_untouched(operator)


def test_a_disk_without_room_for_the_lines_left_loses_nothing(operator: Operator) -> None:
    """The error names the file; what was shipped is found by the same command, and an older file stays."""
    order_ids = orders(operator, 2)
    good = [{"order_id": order_id, "carrier": "dhl", "tracking_number": number()} for order_id in order_ids]
    bad = [{"order_id": STRANGE, "carrier": "", "tracking_number": "1", "note": "ä" * 40_000}] * 16
    rows = [json.dumps(row, ensure_ascii=False) for row in (*good, *bad)]
    operator.shell.write("shipments.jsonl", "\n".join(rows))
    older = operator.shell.write("left.jsonl", "older")

    ended = limited(operator, "fulfill", "--file", "shipments.jsonl", "--failed-to", "left.jsonl", size=3_000_000)

    assert (ended.returncode, "internal error" in ended.stderr) == (2, False), ended.stderr
    assert "left.jsonl: cannot be written" in ended.stderr
    assert older.read_text() == "older"
    again = operator.json("fulfill", "--file", "shipments.jsonl", "--failed-to", "left.jsonl", code=3)
    assert summary(again) == {"total": 18, "existing": 2, "failed": 16}
    assert len(older.read_text().splitlines()) == 16
    assert counts(operator, order_ids) == [1, 1]
