"""How far a long command has come: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from parcelhook.cli.output import printable


class Progress(Protocol):
    """What a command tells while it works."""

    def advance(self, count: int) -> None:
        """Tell that so many more were dealt with."""

    def say(self, text: str) -> None:
        """Tell something that a person should know meanwhile."""


@contextmanager
def progress(total: int, *, what: str = "parcels") -> Iterator[Progress]:
    """Show how many of ``total`` were dealt with, on stderr."""
    if not sys.stderr.isatty():
        yield _Lines(total, what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield _Bar(lambda count: bar.advance(task, count), lambda text: bar.console.print(text, markup=False))


class _Bar:
    def __init__(self, advance: Callable[[int], object], say: Callable[[str], object]) -> None:
        self._advance = advance
        self._say = say

    def advance(self, count: int) -> None:
        self._advance(count)

    def say(self, text: str) -> None:
        self._say(printable(text))


class _Lines:
    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
        self._done = 0

    def advance(self, count: int) -> None:
        self._done += count
        if count:
            self.say(f"{self._done:,} of {self._total:,} {self._what} dealt with")

    def say(self, text: str) -> None:
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()
