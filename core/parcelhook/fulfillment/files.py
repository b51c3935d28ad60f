"""Read files of shipments: CSV or JSON lines, one parcel's line item (or whole parcel) a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from parcelhook.errors import InputError
from parcelhook.fulfillment.intake import Wish

COLUMNS: Final = ("order_id", "carrier", "tracking_number", "tracking_url", "line_item_id", "quantity", "key")
REQUIRED: Final = ("order_id", "carrier", "tracking_number")
_COLUMNS_ARE: Final = f"Its columns are {', '.join(COLUMNS)}."
_MEMBERS: Final = f"Its members are texts and numbers: {', '.join(COLUMNS)}."
_MOST_DIGITS: Final = 9

Row: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file wants shipped as one parcel, and the line it stands on first (the heading is line 1)."""

    line: int
    wish: Wish


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be understood, and why."""

    line: int
    order_id: str
    error: str
    what_to_do: str


def read_file(path: Path) -> list[Entry | BadLine]:
    """Read a ``.csv`` or ``.jsonl`` file; lines that name one order, carrier and number are one parcel.

    Raise InputError where the file cannot be read or lacks a column; a bad line is part of the answer.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _json_lines(file) if path.suffix.lower() == ".jsonl" else _csv_lines(file)
            return _merged([row if isinstance(row, BadLine) else _entry(line, row) for line, row in rows])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read: {error}"
        raise InputError(msg, field="--file", what_to_do="Give a UTF-8 file of comma-separated values.") from error


def _csv_lines(file: Iterator[str]) -> Iterator[tuple[int, Row | BadLine]]:
    reader = csv.DictReader(file, strict=True)
    _check_columns(reader.fieldnames or ())
    for row in reader:
        # A comma too many, in a link for one, has shifted values into columns they do not belong to.
        if None in row:
            what_to_do = "Put values that hold a comma in double quotes."
            error = "it has more values than there are columns"
            yield reader.line_num, BadLine(reader.line_num, row.get("order_id") or "", error, what_to_do)
        else:
            yield reader.line_num, {name: value or "" for name, value in row.items()}


def _json_lines(file: Iterator[str]) -> Iterator[tuple[int, Row | BadLine]]:
    for line, text in enumerate(file, 1):
        if text.strip():
            yield line, _json_row(line, text)


def _json_row(line: int, text: str) -> Row | BadLine:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return BadLine(line, "", "it is no JSON object", "Give one JSON object a line.")
    order_id = row.get("order_id")
    for name, value in row.items():
        if name not in COLUMNS:
            error = f"it has an unknown member {name!r}"
        elif value is not None and type(value) not in {str, int}:
            error = f"{name} is neither a text nor a whole number"
        else:
            continue
        return BadLine(line, order_id if isinstance(order_id, str) else "", error, _MEMBERS)
    return {name: "" if value is None else str(value) for name, value in row.items()}


def _check_columns(columns: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    for names, problem in ((missing, "lacks the"), (unknown, "has the unknown"), (doubled, "repeats the")):
        if names:
            msg = f"the file {problem} column{'s' if len(names) > 1 else ''} {', '.join(names)}"
            raise InputError(msg, field="--file", what_to_do=_COLUMNS_ARE)


def _entry(line: int, row: Row) -> Entry | BadLine:
    values = {name: row.get(name, "").strip() for name in COLUMNS}
    missing = [name for name in REQUIRED if not values[name]]
    if missing:
        what_to_do = "Fill it in, or take the line out."
        return BadLine(line, values["order_id"], f"{missing[0]} is missing", what_to_do)
    quantity, item = values["quantity"], values["line_item_id"]
    if quantity and not _is_count(quantity):
        return BadLine(line, values["order_id"], f"quantity {quantity!r} is no number from 1", "Give a whole number.")
    if quantity and not item:
        what_to_do = "Name the line item, or leave the quantity empty to ship all that remains."
        return BadLine(line, values["order_id"], "quantity without line_item_id", what_to_do)
    wish = Wish(
        order_id=values["order_id"],
        carrier=values["carrier"],
        parcels=((values["tracking_number"], values["tracking_url"] or None),),
        items={item: int(quantity) if quantity else None} if item else {},
        key=values["key"] or None,
        source="file",
    )
    return Entry(line, wish)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) > 0


def _merged(entries: Sequence[Entry | BadLine]) -> list[Entry | BadLine]:
    """Put the lines of one parcel together; two lines for the same item of it are an error, not a sum."""
    merged: dict[object, Entry | BadLine] = {}
    for entry in entries:
        if isinstance(entry, BadLine):
            merged[entry.line] = entry
            continue
        wish = entry.wish
        identity = (wish.order_id, wish.carrier, wish.parcels, wish.key)
        first = merged.get(identity)
        if not isinstance(first, Entry):
            merged[identity] = entry
        elif not wish.items or not first.wish.items or set(wish.items) & set(first.wish.items):
            error = f"line {first.line} says the same parcel and item already"
            merged[entry.line] = BadLine(entry.line, wish.order_id, error, "Take one of the two lines out.")
        else:
            merged[identity] = replace(first, wish=replace(first.wish, items={**first.wish.items, **wish.items}))
    return list(merged.values())
