"""The lines of a file that were not shipped, written so that they can be corrected and shipped again."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from parcelhook.errors import InputError
from parcelhook.fulfillment.files import ADDED

if TYPE_CHECKING:
    from parcelhook.fulfillment.files import Form


class FailedLines:
    """A file in the form of the one it comes from, with its columns and ``error`` and ``what_to_do`` beside them.

    It appears under its name once it is complete. Raise InputError where it cannot be written.
    """

    def __init__(self, path: Path, source: Path, form: Form) -> None:
        self._path = path
        self._part = path.parent / f".{path.name}.{token_hex(4)}"
        self._source = source
        self._form = form
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        try:
            problem = _problem(self._path, self._source)
            if problem:
                msg = f"{self._path}: is {problem}"
                raise InputError(msg, field="--failed-to", what_to_do="Give another name.")
            self._file = self._part.open("x", encoding="utf-8", newline="")
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def write(self, lines: Iterable[tuple[int, str, str, str]]) -> None:
        """Write lines: number and text as they were read, what is wrong, and what to do about it."""
        if self._file is None:
            msg = "enter it first"
            raise RuntimeError(msg)
        try:
            if self._form.delimiter:
                self._write_csv(self._file, lines)
            else:
                self._write_json(self._file, lines)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
        except OSError as error:
            raise self._unwritable(error) from error

    def _write_csv(self, file: TextIO, lines: Iterable[tuple[int, str, str, str]]) -> None:
        writer = csv.writer(file, delimiter=self._form.delimiter, lineterminator="\n")
        kept = [place for place, column in enumerate(self._form.columns) if column not in ADDED]
        writer.writerow([*(self._form.heading[place] for place in kept), *ADDED])
        for number, raw, error, what_to_do in lines:
            values, surplus = self._values(raw)
            writer.writerow([*(values[place] for place in kept), f"line {number}: {error}", what_to_do, *surplus])

    def _values(self, raw: str) -> tuple[list[str], list[str]]:
        """Give a value for each column, and what has no column: with that, a line stays bad until it is corrected."""
        width = len(self._form.columns)
        try:
            values = self._form.values(raw)
            surplus = values[width:]
        except csv.Error:
            values, surplus = self._form.values_at_best(raw), [raw]
        return [*values, *[""] * width][:width], surplus

    def _write_json(self, file: TextIO, lines: Iterable[tuple[int, str, str, str]]) -> None:
        for number, raw, error, what_to_do in lines:
            try:
                read = json.loads(raw)
            except (ValueError, RecursionError):
                read = None
            told = {"error": f"line {number}: {error}", "what_to_do": what_to_do}
            file.write(json.dumps((read if isinstance(read, dict) else {}) | told) + "\n")

    def _unwritable(self, error: OSError) -> InputError:
        msg = f"{self._path}: cannot be written: {error.strerror or error}"
        what_to_do = "Make room or name another file, and run the same command again: what was shipped is found."
        return InputError(msg, field="--failed-to", what_to_do=what_to_do)


def _problem(path: Path, source: Path) -> str:
    """Say why a file must not be written to, or give nothing."""
    if not path.exists():
        return ""
    if source.exists() and path.samefile(source):
        return "the file that is to be shipped"
    if path.is_dir():
        return "a folder"
    # It would be replaced, and with it a device that others need.
    return "" if path.is_file() else "no file"
