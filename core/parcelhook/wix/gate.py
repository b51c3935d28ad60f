"""The gate every call to Wix passes: it keeps the site's budget and writes down what was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol


class CallGate(Protocol):
    """What the client asks around each HTTP call: every attempt of every operation, and each call for a token.

    ``operation`` is one of token, create, bulk-create, update, delete, list, list-by-ids, get-order, search-orders.
    """

    def before(self, operation: str, method: str, path: str, order_ids: Sequence[str]) -> int:
        """Wait until the site's budget allows a call, write it down as sent, and give its id.

        An error raised here keeps the call from being made.
        """
        ...

    def after(self, call_id: int, *, status: int | None, request_id: str, outcome: str) -> None:
        """Write down how the call ended: ``outcome`` is ``ok`` or the name of the error, ``status`` None unanswered."""
        ...

    def throttled(self, retry_after: float) -> None:
        """Hold the site's calls back for so many seconds; returns at once, and ``before`` waits."""
        ...


class OpenGate:
    """A gate for callers without a ledger: nothing is written down, and only a throttled site is waited for."""

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._calls = 0
        self._closed_until = monotonic()

    def before(self, operation: str, method: str, path: str, order_ids: Sequence[str]) -> int:  # noqa: ARG002
        """Wait while the site is throttled, and number the call."""
        wait = self._closed_until - self._monotonic()
        if wait > 0:
            self._sleep(wait)
        with self._lock:
            self._calls += 1
            return self._calls

    def after(self, call_id: int, *, status: int | None, request_id: str, outcome: str) -> None:
        """Keep nothing."""

    def throttled(self, retry_after: float) -> None:
        """Hold further calls back for so many seconds."""
        self._closed_until = max(self._closed_until, self._monotonic() + retry_after)
