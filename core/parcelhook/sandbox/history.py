"""Reads that lag behind writes: what was true some seconds ago."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

Value = TypeVar("Value")

# No switch asks for more than this.
_KEPT_SECONDS = 600.0


class History(Generic[Value]):
    """Keep one value and what it was before, for readers that see it late."""

    def __init__(self, value: Value, *, before: Value | None = None, lag: float = 0.0) -> None:
        self.value = value
        self._past: list[tuple[float, Value | None]] = [(time.monotonic(), before)] if lag > 0 else []

    def set(self, value: Value, *, lag: float) -> None:
        """Set the value; readers who lag still see the one before."""
        if lag > 0:
            moment = time.monotonic()
            self._past = [entry for entry in self._past if entry[0] > moment - _KEPT_SECONDS]
            self._past.append((moment, self.value))
        else:
            self._past.clear()
        self.value = value

    def seen(self, *, lag: float) -> Value | None:
        """Give the value as a reader sees it who is ``lag`` seconds late; None is before there was one."""
        if self._past and lag > 0:
            horizon = time.monotonic() - lag
            for replaced_at, value in self._past:
                if replaced_at > horizon:
                    return value
        return self.value
