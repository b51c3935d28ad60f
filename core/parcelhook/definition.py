"""Read a ``carrier.toml`` (or a file of many carriers) and find the line a mistake stands on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from parcelhook.errors import InvalidCarrier

Location: TypeAlias = Sequence[str | int]


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
            msg = f"{path}: cannot be read: {error}"
            raise InvalidCarrier(msg, where=str(path)) from error

    def line_of(self, location: Location) -> int:
        """Give the 1-based line that names the deepest part of a location like ``("numbers", 1, "pattern")``.

        TOML's parser keeps no lines, so the text is walked along the location: an index moves to that many
        ``[[table]]`` headings, a name to the next line that assigns it. What is not found leaves the line before it.
        """
        lines = self.text.splitlines()
        current, name = 0, ""
        for part in location:
            if isinstance(part, int):
                current = _nth(lines, rf"^\s*\[\[\s*([\w.-]+\.)?{re.escape(name)}\s*\]\]", part, current)
            else:
                name = part
                key = rf"(?:{re.escape(part)}|\"{re.escape(part)}\"|'{re.escape(part)}')"
                current = _nth(
                    lines, rf"^\s*(?:\[+\s*(?:[\w.-]+\.)?{key}\s*\]|{key}\s*=|.*[{{,]\s*{key}\s*=)", 0, current
                )
        return current + 1


def _nth(lines: Sequence[str], pattern: str, count: int, start: int) -> int:
    matches = [index for index in range(start, len(lines)) if re.search(pattern, lines[index])]
    return matches[count] if count < len(matches) else start
