"""What reaches stdout and stderr: one JSON value for a machine, tables and lines for people."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
Row: TypeAlias = Sequence[object]


def write_json(value: Json) -> None:
    """Print one JSON value on one line, in ASCII so that no terminal or pipe can fail on it."""
    import json

    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def write_json_with(value: Mapping[str, Json], name: str, items: Iterable[Json]) -> None:
    """Print one JSON object with a further member that is a list, which is never in memory as a whole."""
    import json

    sys.stdout.write(f"{json.dumps(value)[:-1]}, {json.dumps(name)}: [")
    for place, item in enumerate(items):
        sys.stdout.write(", " * bool(place) + json.dumps(item))
    sys.stdout.write("]}\n")
    sys.stdout.flush()


def write_line(text: str = "") -> None:
    """Print a line for people."""
    sys.stdout.write(printable(text) + "\n")


def warn(text: str) -> None:
    """Print a warning on stderr."""
    sys.stderr.write(f"Warning: {printable(text)}\n")


def write_table(
    columns: Sequence[str], rows: Iterable[Row], *, empty: str = "Nothing to show.", leave_out: Collection[str] = ()
) -> None:
    """Print a table: with rules and colours on a terminal, as plain aligned columns elsewhere.

    ``leave_out`` names columns that say nothing here, such as the store where there is one alone.
    """
    shown = [index for index, column in enumerate(columns) if column not in leave_out]
    cells = [[printable(_text(row[index])) for index in shown] for row in rows]
    columns = [columns[index] for index in shown]
    if not cells:
        write_line(empty)
    elif sys.stdout.isatty():
        _write_rich_table(columns, cells)
    else:
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in (columns, *cells):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            write_line(line.rstrip())


def printable(text: str) -> str:
    r"""Give a text without control characters, which could drive a terminal; each is shown as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(sorted(map(str, value)) if isinstance(value, (set, frozenset)) else map(str, value)) or "-"
    return str(value)


def _write_rich_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, header_style="bold")
    for row in cells:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(table)
