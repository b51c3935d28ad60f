"""Start whatever the ledger says is due, over and over: what a crash, a lost event or a deleted engine left undone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

import structlog

from parcelhook.engine import Json
from parcelhook.errors import ParcelhookError
from parcelhook.fulfillment.store import TO_SEND, Store
from parcelhook.ledger.states import State

IDLE_SECONDS: Final = 0.25
AFTER_ERROR: Final = timedelta(seconds=5)
AFTER_ERROR_AT_MOST: Final = timedelta(minutes=5)
CREATING: Final = TO_SEND | {State.WAITING_NUMBER}
"""What is left alone in a store that is paused."""


LANES: Final = (("events", "reconcile", "settle", "send", "push"), ("book", "poll"))
"""The flows of a store that go one after the other: a carrier that hangs holds up no call to Wix."""

AT_ONCE: Final = 128
"""How many lanes, of all stores, are worked on at once; one whose Wix hangs holds one of them for a while."""


class Sweeper:
    """Work through the stores, each in lanes of its own, until it is stopped.

    ``run`` runs a flow of the durable engine by name. ``looks_every`` says how often a store is looked through for what
    no webhook told. A flow that fails for one store rests for a while, longer each time. One that hangs, or waits for
    its site's budget, holds up its own lane and nothing else.
    """

    def __init__(
        self, stores: Sequence[Store], run: Callable[..., Json], *, looks_every: Callable[[Store], timedelta]
    ) -> None:
        self._stores = stores
        self._run_flow = run
        self._looks_every = looks_every
        self._clock = stores[0].clock
        self._looked_at: dict[str, datetime] = {}
        self._rests: dict[tuple[str, str], tuple[datetime, timedelta]] = {}
        self._under_way: set[tuple[str, int]] = set()
        self._workers = ThreadPoolExecutor(min(AT_ONCE, len(stores) * len(LANES)), thread_name_prefix="sweeper")
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sweeper", daemon=True)
        self._log = structlog.get_logger("parcelhook.sweeper")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something has come in."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the flows under way, and no other."""
        self._stop.set()
        self._woken.set()
        self._thread.join()
        self._workers.shutdown()

    @property
    def is_busy(self) -> bool:
        """Tell whether a flow is under way."""
        return bool(self._under_way)

    def sweep(self) -> bool:
        """Begin whatever is due in lanes that are free; tell whether there was anything."""
        ledger = self._stores[0].ledger
        told = ledger.inbox.due_stores([store.id for store in self._stores])
        polled = {group.store for group in ledger.parcels.due()}
        states = ledger.shipments.due()
        paused = {row.id for row in ledger.stores.all() if row.paused}
        began = False
        for store in self._stores:
            its = states[store.id] - (CREATING if store.id in paused else set())
            due = set(self._due(store, its, has_events=store.id in told, polls=store.id in polled))
            for lane, flows in enumerate(LANES):
                began |= self._begin(store, lane, [flow for flow in flows if flow in due])
        return began

    def _due(self, store: Store, states: AbstractSet[State], *, has_events: bool, polls: bool) -> Iterator[str]:
        last = self._looked_at.get(store.id)
        flows = {
            "events": has_events,
            "reconcile": last is None or self._clock() - last >= self._looks_every(store),
            "book": State.WAITING_NUMBER in states,
            "settle": State.SENDING in states,
            "send": bool(states & TO_SEND),
            "push": State.CREATED in states,
            "poll": polls,
        }
        return (flow for flow, is_due in flows.items() if is_due and not self._rests_still(flow, store.id))

    def _rests_still(self, flow: str, store: str) -> bool:
        until, _ = self._rests.get((flow, store), (None, None))
        return until is not None and self._clock() < until

    def _begin(self, store: Store, lane: int, flows: Collection[str]) -> bool:
        its = (store.id, lane)
        if not flows or its in self._under_way:
            return False
        self._under_way.add(its)
        self._workers.submit(self._follow, its, flows)
        return True

    def _follow(self, its: tuple[str, int], flows: Collection[str]) -> None:
        """Run the flows of a lane, in a thread of the pool; what follows from them is looked for at once."""
        store, _ = its
        try:
            has_done = [self._flow(flow, store) for flow in flows if not self._stop.is_set()]
        finally:
            self._under_way.discard(its)
        if any(has_done):
            self.wake()

    def _flow(self, name: str, store: str) -> bool:
        """Run a flow; tell whether it did anything."""
        its, began = (name, store), self._clock()
        try:
            done = bool(self._run_flow(name, store))
        except ParcelhookError as error:
            self._log.warning("flow failed", flow=its, error=error.message, what_to_do=error.what_to_do)
        except Exception:  # noqa: BLE001 - the service goes on: what is due stays due, and the reason is in the log
            self._log.exception("flow failed", flow=its)
        else:
            self._rests.pop(its, None)
            if name == "reconcile":
                self._looked_at[store] = began
            return done
        _, last = self._rests.get(its, (None, AFTER_ERROR / 2))
        rest = min(last * 2, AFTER_ERROR_AT_MOST)
        self._rests[its] = (self._clock() + rest, rest)
        return False

    def _work(self) -> None:
        while not self._stop.is_set():
            self._woken.clear()
            began = time.monotonic()
            try:
                self.sweep()
            except Exception:  # noqa: BLE001 - as above; here it is the ledger that could not be read
                self._log.exception("sweep failed")
                self._stop.wait(AFTER_ERROR.total_seconds())
            else:
                # With many stores a look takes a while: half of the time at most is spent on it.
                self._stop.wait(time.monotonic() - began)
                self._woken.wait(IDLE_SECONDS)
