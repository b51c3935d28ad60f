"""Start whatever the ledger says is due, over and over: what a crash, a lost event or a deleted engine left undone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from parcelhook.engine import Json
from parcelhook.errors import ParcelhookError
from parcelhook.fulfillment.store import Store
from parcelhook.ledger.states import State

IDLE_SECONDS: Final = 0.25
AFTER_ERROR: Final = timedelta(seconds=5)
AFTER_ERROR_AT_MOST: Final = timedelta(minutes=5)
SEND_STATES: Final = frozenset({State.READY, State.WAITING_LINK})


class Sweeper:
    """Work through the stores in a thread of its own until it is stopped.

    ``run`` runs a flow of the durable engine by name. ``looks_every`` says how often a store is looked through for what
    no webhook told. A flow that fails for one store rests for a while, longer each time, and holds up nothing else.
    """

    def __init__(
        self, stores: Sequence[Store], run: Callable[..., Json], *, looks_every: Callable[[Store], timedelta]
    ) -> None:
        self._stores = stores
        self._run_flow = run
        self._looks_every = looks_every
        self._clock = stores[0].clock
        self._looked_at: dict[str, datetime] = {}
        self._rests: dict[tuple[str, ...], tuple[datetime, timedelta]] = {}
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
        """Finish the flow under way, and no other."""
        self._stop.set()
        self._woken.set()
        self._thread.join()

    def sweep(self) -> bool:
        """Do once whatever is due; tell whether there was anything."""
        ledger = self._stores[0].ledger
        busy = ledger.inbox.is_due() and self._flow("events")
        polled = {group.store for group in ledger.parcels.due()}
        for store in self._stores:
            busy |= self._sweep_store(store, polls=store.id in polled)
        return busy

    def _sweep_store(self, store: Store, *, polls: bool) -> bool:
        last = self._looked_at.get(store.id)
        if last is None or self._clock() - last >= self._looks_every(store):
            began = self._clock()
            self._flow("reconcile", store.id)
            if ("reconcile", store.id) not in self._rests:
                self._looked_at[store.id] = began
        due = store.ledger.shipments.due(store.id)
        if store.ledger.stores.get(store.id).paused:
            due -= SEND_STATES | {State.WAITING_NUMBER}
        flows = {
            "book": State.WAITING_NUMBER in due,
            "settle": State.SENDING in due,
            "send": bool(due & SEND_STATES),
            "push": State.CREATED in due,
            "poll": polls,
        }
        busy = False
        for flow, is_due in flows.items():
            busy |= is_due and self._flow(flow, store.id)
        return busy

    def _flow(self, name: str, *arguments: str) -> bool:
        """Run a flow unless it failed a while ago or all is to stop; tell whether it did anything."""
        its = (name, *arguments)
        until, last = self._rests.get(its, (None, AFTER_ERROR / 2))
        if self._stop.is_set() or (until is not None and self._clock() < until):
            return False
        try:
            done = bool(self._run_flow(name, *arguments))
        except ParcelhookError as error:
            self._log.warning("flow failed", flow=its, error=error.message, what_to_do=error.what_to_do)
        except Exception:  # noqa: BLE001 - the service goes on: what is due stays due, and the reason is in the log
            self._log.exception("flow failed", flow=its)
        else:
            self._rests.pop(its, None)
            return done
        rest = min(last * 2, AFTER_ERROR_AT_MOST)
        self._rests[its] = (self._clock() + rest, rest)
        return False

    def _work(self) -> None:
        while not self._stop.is_set():
            self._woken.clear()
            try:
                busy = self.sweep()
            except Exception:  # noqa: BLE001 - as above; here it is the ledger that could not be read
                self._log.exception("sweep failed")
                self._stop.wait(AFTER_ERROR.total_seconds())
            else:
                if not busy:
                    self._woken.wait(IDLE_SECONDS)
