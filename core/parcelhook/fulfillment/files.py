"""Read files of shipments: CSV or JSON lines, one parcel's line item (or whole parcel) a line."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TextIO, TypeAlias, TypeGuard

from parcelhook.errors import InputError
from parcelhook.numbers import stands_for_none

COLUMNS: Final = ("order_id", "carrier", "tracking_number", "tracking_url", "line_item_id", "quantity", "key")
REQUIRED: Final = ("order_id", "carrier", "tracking_number")
ADDED: Final = ("error", "what_to_do")
"""What a file of failures has beside the columns of the file it came from; read again, they are passed over."""

LINE_AT_MOST: Final = 100_000
_DELIMITERS: Final = ",;\t"
_MOST_DIGITS: Final = 9
_UNKNOWN_AT_MOST: Final = 100
_COLUMNS_ARE: Final = f"The columns are {', '.join(COLUMNS)}."
_MEMBERS: Final = "Its members are texts and whole numbers."

Row: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be understood; ``raw`` is the line as it stands, in the file's own form."""

    number: int
    raw: str
    row: Row


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be understood, and why; ``row`` is what could be read of it."""

    number: int
    raw: str
    error: str
    what_to_do: str
    row: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written: ``delimiter`` of a CSV file or "" for JSON lines, and a CSV file's columns."""

    delimiter: str
    heading: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def values(self, raw: str) -> list[str]:
        """Give the values of a line; raise csv.Error where its quotes cannot be read."""
        return next(csv.reader([raw], delimiter=self.delimiter, strict=True), [])

    def values_at_best(self, raw: str) -> list[str]:
        """Give the values of a line, as far as they can be read."""
        try:
            return next(csv.reader([raw], delimiter=self.delimiter), [])
        except csv.Error:
            return []

    @property
    def unknown(self) -> list[str]:
        """Give the columns that mean nothing here."""
        named = zip(self.heading, self.columns, strict=True)
        return [name for name, column in named if column and column not in _KNOWN]


class ShipmentFile:
    """An open file; iterate over its lines once. ``unknown`` are the columns passed over, as far as they were seen."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self.path = path
        self._text = text
        self._number = 0
        self._blank = string.whitespace
        self._opened = _version(text)
        self.form = Form("") if path.suffix.lower() == ".jsonl" else self._csv_form()
        # Spreadsheets write empty rows as delimiters alone.
        self._blank += self.form.delimiter
        self.unknown: dict[str, None] = dict.fromkeys(self.form.unknown)

    def __iter__(self) -> Iterator[Line | BadLine]:
        """Give each line that is not empty; raise InputError where the file was changed or cut meanwhile."""
        for raw in self._lines():
            yield self._checked(raw) if raw is not None else self._too_long()
        if self._opened != _version(self._text):
            msg = f"{self.path}: it was changed while it was read, and nothing was done about it"
            raise InputError(msg, field="--file", what_to_do="Run the command again when the file is complete.")

    def _lines(self) -> Iterator[str | None]:
        """Give each line that is not empty, or None for one that is too long, of which no more is read than is kept."""
        while raw := self._text.readline(LINE_AT_MOST):
            self._number += 1
            if len(raw) == LINE_AT_MOST and not raw.endswith(("\n", "\r")):
                while len(rest := self._text.readline(LINE_AT_MOST)) == LINE_AT_MOST and not rest.endswith("\n"):
                    pass
                yield None
            elif raw.strip(self._blank):
                yield raw.rstrip("\r\n")

    def _csv_form(self) -> Form:
        heading = next(self._lines(), None)
        if heading is None:
            msg = f"{self.path}: it has no heading"
            raise InputError(msg, field="--file", what_to_do=f"Its first line names the columns. {_COLUMNS_ARE}")
        heading = _as_text(heading)
        forms = [_form(heading, delimiter) for delimiter in _DELIMITERS]
        form = max(forms, key=lambda each: len(_KNOWN.intersection(each.columns)))
        _check_columns(form)
        return form

    def _checked(self, raw: str) -> Line | BadLine:
        if (text := _as_text(raw)) != raw:
            return BadLine(self._number, text, "it is not UTF-8 text", "Save the file as CSV UTF-8.")
        row = self._csv_row(raw) if self.form.delimiter else self._json_row(raw)
        if isinstance(row, BadLine):
            return row
        fault = _fault(row)
        return BadLine(self._number, raw, *fault, row=row) if fault else Line(self._number, raw, row)

    def _csv_row(self, raw: str) -> Row | BadLine:
        try:
            values = self.form.values(raw)
        except csv.Error as error:
            what_to_do = "Put a value in double quotes, on one line, and write a double quote within it twice."
            row = dict(zip(self.form.columns, map(str.strip, self.form.values_at_best(raw)), strict=False))
            return BadLine(self._number, raw, f"its quotes cannot be read: {error}", what_to_do, row=row)
        row = {name: value.strip() for name, value in zip(self.form.columns, values, strict=False) if name in _KNOWN}
        # A comma too many, in a link for one, has shifted values into columns they do not belong to.
        if len(values) > len(self.form.columns):
            what_to_do = "Put values that hold a comma in double quotes."
            return BadLine(self._number, raw, "it has more values than there are columns", what_to_do, row=row)
        return row

    def _json_row(self, raw: str) -> Row | BadLine:
        try:
            read = json.loads(raw)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            return BadLine(self._number, raw, "it is no JSON object", "Give one JSON object a line.")
        row = {name: str(value).strip() for name, value in read.items() if name in COLUMNS and _is_value(value)}
        for name, value in read.items():
            if name in COLUMNS and value is not None and not _is_value(value):
                return BadLine(self._number, raw, f"{name} is neither a text nor a whole number", _MEMBERS, row=row)
            meant = None if name in _KNOWN else _meant(name, present=read)
            if meant:
                hint = f"Did you mean {meant}? {_COLUMNS_ARE}"
                return BadLine(self._number, raw, f"it has an unknown member {ascii(name)[1:-1]}", hint, row=row)
        unknown = [name for name in read if name not in _KNOWN and name not in self.unknown]
        self.unknown |= dict.fromkeys(unknown[: _UNKNOWN_AT_MOST - len(self.unknown)])
        return row

    def _too_long(self) -> BadLine:
        error = f"it is longer than {LINE_AT_MOST:,} characters"
        return BadLine(self._number, "", error, "No shipment needs a line that long: look what it holds.")


@contextmanager
def opened(path: Path) -> Iterator[ShipmentFile]:
    """Open a ``.csv`` or ``.jsonl`` file; raise InputError where it cannot be read or lacks a column."""
    try:
        # Opened once, and peeked into: a pipe gives what it holds to its first reader alone.
        with path.open("rb") as binary:
            encoding = "utf-16" if binary.peek(2)[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
            # What is not UTF-8 is found line by line.
            with io.TextIOWrapper(binary, encoding=encoding, errors="surrogateescape", newline="") as text:
                yield ShipmentFile(path, text)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"{path}: cannot be read: {reason}"
        raise InputError(msg, field="--file", what_to_do="Give a CSV or JSONL file, in UTF-8.") from error


_KNOWN: Final = frozenset({*COLUMNS, *ADDED})


def _form(heading: str, delimiter: str) -> Form:
    try:
        names = tuple(next(csv.reader([heading], delimiter=delimiter, strict=True)))
    except csv.Error:
        names = ()
    columns = tuple(re.sub(r"[\s-]+", "_", name.strip().casefold()) for name in names)
    return Form(delimiter, heading=names, columns=columns)


def _check_columns(form: Form) -> None:
    missing = [name for name in REQUIRED if name not in form.columns]
    doubled = sorted(name for name in COLUMNS if form.columns.count(name) > 1)
    mistyped = [name for name in form.columns if name not in _KNOWN and _meant(name, present=form.columns)]
    for names, problem in ((mistyped, "has the unknown"), (missing, "lacks the"), (doubled, "repeats the")):
        if names:
            msg = f"the file {problem} column{'s' if len(names) > 1 else ''} {', '.join(names)}"
            meant = [_meant(name, present=form.columns) for name in names] if names is mistyped else []
            hint = f"Did you mean {', '.join(filter(None, meant))}? {_COLUMNS_ARE}" if meant else _COLUMNS_ARE
            raise InputError(msg, field="--file", what_to_do=hint)


def _version(text: TextIO) -> tuple[int, int] | None:
    """Give size and time of a file, which change with it; None for a pipe, which changes by being read."""
    now = os.fstat(text.fileno())
    return (now.st_size, now.st_mtime_ns) if stat.S_ISREG(now.st_mode) else None


def _as_text(raw: str) -> str:
    """Give a line as it is, or, where it holds bytes that are no UTF-8, as the text it most probably is."""
    if raw.isprintable() or not any("\udc80" <= character <= "\udcff" for character in raw):
        return raw
    return raw.encode("utf-8", "surrogateescape").decode("latin-1")


def _is_value(value: object) -> TypeGuard[str | int]:
    """Tell whether a member of a JSON line is a whole number, or a text that can be written down."""
    if type(value) is str:
        return value.isprintable() or not any("\ud800" <= character <= "\udfff" for character in value)
    return type(value) is int


def _meant(name: str, *, present: Sequence[str] | Mapping[str, object]) -> str | None:
    """Give the column that a name is probably a misspelling of, and that is not there itself."""
    close = get_close_matches(name, [column for column in COLUMNS if column not in present], n=1, cutoff=0.75)
    return close[0] if close else None


def _fault(row: Row) -> tuple[str, str] | None:
    """Give what is wrong with a row by itself and what to do about it, or None."""
    missing = [name for name in REQUIRED if not row.get(name)]
    quantity, item, number = row.get("quantity", ""), row.get("line_item_id", ""), row.get("tracking_number", "")
    if missing:
        return f"{missing[0]} is missing", "Fill it in, or take the line out."
    if none := stands_for_none(number):
        return none
    if quantity and not (quantity.isascii() and quantity.isdigit() and len(quantity) <= _MOST_DIGITS and int(quantity)):
        return f"quantity {quantity!r} is no number from 1", "Give a whole number."
    if quantity and not item:
        what_to_do = "Name the line item, or leave the quantity empty to ship all that remains."
        return "quantity without line_item_id", what_to_do
    return None
