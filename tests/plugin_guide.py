"""What plugins/README.md shows, taken apart: files, commands and hooks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

GUIDE: Final = Path(__file__).parent.parent / "plugins" / "README.md"
NUMBER: Final = "AC123456782"
"""The number in the guide's examples."""


class Shown(NamedTuple):
    """A fenced block: its language, the file its first line names ("" without one), and all of its text."""

    language: str
    path: str
    text: str


def shown() -> list[Shown]:
    """Give the blocks in their order."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Shown(language, _path(text), text) for language, text in blocks]


def write(folder: Path, *paths: str, last: bool = False) -> None:
    """Write files as the guide shows them first, or ``last``."""
    for path in paths:
        texts = [block.text for block in shown() if block.path == path]
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[-1 if last else 0], encoding="utf-8")


def _path(text: str) -> str:
    named = re.match(r"# (\S+\.(?:toml|py))\n", text)
    return named[1] if named else ""
