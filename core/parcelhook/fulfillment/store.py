"""One Wix store and what its flows work with, passed in as one value."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from parcelhook.errors import LedgerError
from parcelhook.ledger import Ledger
from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.registry import Registry
from parcelhook.settings import Rule
from parcelhook.wix.client import WixClient

LEASE_SECONDS: Final = 6.0
"""How long a worker that stopped to live may hold a shipment before another takes it over."""

TO_SEND: Final = frozenset({State.READY, State.WAITING_LINK})
"""The states of a shipment that is to be created at Wix, and certainly was not yet."""

SEND_WITHIN: Final = timedelta(seconds=30)
SEND_WITHIN_AT_LEAST: Final = timedelta(seconds=2)


class Outcome(StrEnum):
    """What became of a shipment in one run of a flow."""

    CREATED = "created"
    EXISTING = "existing"
    NOT_FULFILLABLE = "not_fulfillable"
    REFUSED = "refused"
    WAITING = "waiting"
    THROTTLED = "throttled"
    FORBIDDEN = "forbidden"
    UNDECIDED = "undecided"
    REVIEW = "review"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A store's client, the ledger, the registry, and how this store ships.

    ``owner`` names this worker in the ledger's claims. ``settle`` is how long after an unclear answer Wix is asked what
    it has. ``poll_scale`` stretches or shortens the time between two looks at a parcel. ``leaving_before`` keeps calls
    from leaving after a moment, however long the budget made them wait.
    """

    id: str
    wix: WixClient
    ledger: Ledger
    registry: Registry
    clock: Callable[[], datetime]
    owner: str
    settle: timedelta
    leaving_before: Callable[[datetime], AbstractContextManager[None]]
    ship_unpaid: bool = False
    rules: tuple[Rule, ...] = ()
    poll_scale: float = 1.0

    @property
    def send_within(self) -> timedelta:
        """Give how long after its row was written a create may still leave: well within the settle time."""
        return max(SEND_WITHIN_AT_LEAST, min(SEND_WITHIN, self.settle / 2))

    @contextmanager
    def holding(self, rows: Sequence[ShipmentRow]) -> Iterator[None]:
        """Keep the claim on shipments for as long as this process lives and works on them."""
        if not rows:
            yield
            return
        ids = [row.id for row in rows]
        done = threading.Event()

        def beat() -> None:
            while not done.wait(LEASE_SECONDS / 4):
                try:
                    self.ledger.shipments.extend(self.owner, ids, lease_seconds=LEASE_SECONDS)
                except LedgerError:
                    # Another worker takes over when the lease ends; this one's moves then do nothing.
                    return

        thread = threading.Thread(target=beat, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
