"""Read files of shipments: CSV or JSON lines, one parcel's line item (or whole parcel) a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from parcelhook.errors import InputError
from parcelhook.fulfillment.intake import Wish

COLUMNS: Final = ("order_id", "carrier", "tracking_number", "tracking_url", "line_item_id", "quantity", "key")
REQUIRED: Final = ("order_id", "carrier", "tracking_number")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file wants shipped as one parcel, and the line it stands on first (the heading is line 1)."""

    line: int
    wish: Wish


def read_file(path: Path) -> list[Entry | BadLine]:
    """Read a ``.csv`` or ``.jsonl`` file; lines that name one order, carrier and number are one parcel.

    Raise InputError where the file cannot be read or lacks a column; a bad line is part of the answer.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _json_lines(file) if path.suffix == ".jsonl" else _csv_lines(file)
            return _merged([_entry(line, row) for line, row in rows])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read: {error}"
        raise InputError(msg, field="--file", what_to_do="Give a UTF-8 file of comma-separated values.") from error


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be understood, and why."""

    line: int
    order_id: str
    error: str
    what_to_do: str


def _csv_lines(file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(file, strict=True)
    _check_columns(reader.fieldnames or ())
    for row in reader:
        yield reader.line_num, {name: value or "" for name, value in row.items() if isinstance(value, str | None)}


def _json_lines(file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    for line, text in enumerate(file, 1):
        if text.strip():
            try:
                row = json.loads(text)
            except ValueError:
                row = None
            known = isinstance(row, dict) and all(isinstance(value, str | int | None) for value in row.values())
            yield line, {name: "" if value is None else str(value) for name, value in row.items()} if known else {}


def _check_columns(columns: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    for names, problem in ((missing, "lacks"), (unknown, "has unknown"), (doubled, "repeats")):
        if names:
            msg = f"the file {problem} the column{'s' if len(names) > 1 else ''} {', '.join(names)}"
            raise InputError(msg, field="--file", what_to_do=f"Its columns are {', '.join(COLUMNS)}.")


def _entry(line: int, row: Mapping[str, str]) -> Entry | BadLine:
    values = {name: row.get(name, "").strip() for name in COLUMNS}
    missing = [name for name in REQUIRED if not values[name]]
    if missing:
        what_to_do = "Fill it in, or take the line out."
        return BadLine(line, values["order_id"], f"{missing[0]} is missing", what_to_do)
    quantity, item = values["quantity"], values["line_item_id"]
    if quantity and not (quantity.isascii() and quantity.isdigit() and int(quantity)):
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
