"""Read a ``carrier.toml`` (or a file of many carriers) and find the line a mistake stands on."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from parcelhook.errors import InvalidCarrier

Location: TypeAlias = Sequence[str | int]

_BLANK: Final = re.compile(r"(?:\s|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r"""
    \"{3} (?: \\. | [^\\] )*? \"{3,5}  # over several lines, with escapes
    | '{3} .*? '{3,5}                  # over several lines
    | \" (?: \\. | [^"\\] )* \"
    | ' [^']* '
    """,
    re.DOTALL | re.VERBOSE,
)
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")


@dataclass(frozen=True)
class Definition:
    """A parsed file, its text, and the place it came from."""

    where: str
    text: str
    data: dict[str, object]

    @classmethod
    def parse(cls, text: str, *, where: str) -> Definition:
        """Parse TOML; raise InvalidCarrier with file and line where it is not TOML."""
        try:
            return cls(where, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"at line (\d+)", str(error))
            line = found[1] if found else str(text.count("\n") + 1)
            msg = f"{where}:{line}: this is not TOML: {error}"
            raise InvalidCarrier(msg, where=f"{where}:{line}", what_to_do="Correct the line.") from error

    @classmethod
    def read(cls, path: Path) -> Definition:
        """Read a file; raise InvalidCarrier where it is missing, unreadable or not UTF-8."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"), where=str(path))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            msg = f"{path}: cannot be read: {reason}"
            raise InvalidCarrier(msg, where=str(path)) from error

    def line_of(self, location: Location) -> int:
        """Give the 1-based line of a location like ``("numbers", 1, "pattern")``, or of what is nearest above it."""
        lines = _Scan(self.text).lines()
        parts = tuple(location)
        return next(lines[parts[:length]] for length in range(len(parts), -1, -1) if parts[:length] in lines)


class _Scan:
    """Walk TOML that is known to be valid and note the line each key and array element begins on.

    Python's parser keeps no lines, so this looks at the text once more, and only after a mistake was found.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[tuple[str | int, ...], int] = {(): 1}
        self._tables: Counter[tuple[str | int, ...]] = Counter()

    def lines(self) -> dict[tuple[str | int, ...], int]:
        table: tuple[str | int, ...] = ()
        while self._next() != "":
            if self._next() == "[":
                table = self._heading()
            else:
                self._pair(table)
        return self._lines

    def _next(self) -> str:
        self._skip(_BLANK)
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _note(self, path: tuple[str | int, ...]) -> None:
        self._lines.setdefault(path, bisect_left(self._ends, self._at) + 1)

    def _heading(self) -> tuple[str | int, ...]:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        path: tuple[str | int, ...] = ()
        keys = self._key()
        for depth, key in enumerate(keys, start=1):
            path = (*path, key)
            self._note(path)
            if brackets == 2 and depth == len(keys):  # noqa: PLR2004 - [[table]]
                self._tables[path] += 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
                self._note(path)
        self._skip(_SPACE)
        self._at += brackets
        return path

    def _key(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            bare = self._skip(_BARE_KEY)
            keys.append(bare or str(tomllib.loads(f"key = {self._skip(_STRING)}")["key"]))
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _pair(self, table: tuple[str | int, ...]) -> None:
        start = self._at
        path = (*table, *self._key())
        end, self._at = self._at, start
        for depth in range(len(table) + 1, len(path) + 1):
            self._note(path[:depth])
        self._at = end + 1
        self._value(path)

    def _value(self, path: tuple[str | int, ...]) -> None:
        opening = self._next()
        if opening == "[":
            self._items(path, "]")
        elif opening == "{":
            self._items(path, "}")
        elif not self._skip(_STRING):
            self._skip(_SCALAR)

    def _items(self, path: tuple[str | int, ...], closing: str) -> None:
        self._at += 1
        index = 0
        while (following := self._next()) not in {closing, ""}:
            if following == ",":
                self._at += 1
            elif closing == "}":
                self._pair(path)
            else:
                self._note((*path, index))
                self._value((*path, index))
                index += 1
        self._at += 1
