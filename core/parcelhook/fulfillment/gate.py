"""The gate between the Wix client and the ledger: a call leaves when the budget allows it, and has a row before."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from parcelhook.errors import WixRateLimited
from parcelhook.ledger import Ledger
from parcelhook.ledger.budget import PER_MINUTE

YIELDING: Final = frozenset({"update", "search-orders"})
"""Operations that leave a tenth of the budget to the others, so that creations never wait for progress."""


class LedgerGate:
    """Connect one store's client with the ledger, as the client's CallGate; safe to use from several threads.

    ``site`` is the app instance or site id whose calls Wix counts, ``per_minute`` how many it allows. ``calls`` counts
    by operation what left through this gate.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        store: str,
        site: str,
        per_minute: int = PER_MINUTE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._site = site
        self._per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._numbers = count(1)
        self._open: dict[int, str] = {}
        self.calls: Counter[str] = Counter()
        self._latest = threading.local()

    def before(self, operation: str, method: str, path: str, order_ids: Sequence[str]) -> int:
        """Wait until the site's budget allows the call, write its row, and give it a number.

        Raise WixRateLimited, with nothing sent, where the call would leave too late (see ``leaving_before``).
        """
        allowed = self._per_minute - (self._per_minute // 10 if operation in YIELDING else 0)
        self._refuse_late(operation, 0.0)
        while isinstance(call_id := self._admit(operation, method, path, order_ids, per_minute=allowed), float):
            self._refuse_late(operation, call_id)
            self._sleep(call_id)
            self._refuse_late(operation, 0.0)
        try:
            # Its turn to write may have been long in coming.
            self._refuse_late(operation, 0.0)
        except WixRateLimited as error:
            self._ledger.calls.end(self._store, call_id, status=None, outcome=type(error).__name__)
            raise
        number = next(self._numbers)
        self._open[number] = call_id
        self.calls[operation] += 1
        return number

    def _admit(
        self, operation: str, method: str, path: str, order_ids: Sequence[str], *, per_minute: int
    ) -> str | float:
        return self._ledger.calls.admit(
            self._store,
            site=self._site,
            per_minute=per_minute,
            operation=operation,
            method=method,
            path=path,
            order_ids=order_ids,
        )

    def after(self, call_id: int, *, status: int | None, request_id: str, outcome: str) -> None:
        """Write down how the call ended."""
        row = self._open.pop(call_id)
        self._ledger.calls.end(self._store, row, status=status, request_id=request_id, outcome=outcome)

    def throttled(self, retry_after: float) -> None:
        """Hold back the site's calls, of every process, for so many seconds."""
        self._ledger.budget.block(self._site, until=self._clock() + timedelta(seconds=retry_after))

    @contextmanager
    def leaving_before(self, latest: datetime) -> Iterator[None]:
        """Let no call of this thread leave after ``latest``: what was promised by then is another worker's later."""
        self._latest.moment = latest
        try:
            yield
        finally:
            self._latest.moment = None

    def _refuse_late(self, operation: str, wait: float) -> None:
        latest: datetime | None = getattr(self._latest, "moment", None)
        if latest is not None and self._clock() + timedelta(seconds=wait) > latest:
            msg = f"{operation}: the site's calls of this minute are used up; nothing was sent"
            raise WixRateLimited(msg, operation=operation, retry_after=wait)
