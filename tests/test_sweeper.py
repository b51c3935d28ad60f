"""Whatever is due is done, whichever store it belongs to and whatever fails beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from ledger_samples import execute
from parcelhook import sweeper as sweeping
from parcelhook.engine import Json
from parcelhook.errors import WixForbidden
from parcelhook.flows import Flows
from parcelhook.fulfillment.intake import Wish, take_in
from parcelhook.fulfillment.store import Store
from parcelhook.ledger.parcels import DueGroup
from parcelhook.ledger.states import State
from parcelhook.sweeper import Sweeper
from sandbox_client import until
from shops import ID, Shop

pytest_plugins = ["stores"]

OTHER = "another"
HOUR = timedelta(hours=1)


@dataclass
class Worker:
    """A sweeper over real flows that run at once, with a record of them and with errors on order."""

    stores: list[Store]
    ran: list[tuple[str, ...]] = field(default_factory=list)
    errors: dict[tuple[str, ...], Exception] = field(default_factory=dict)
    before: Callable[[tuple[str, ...]], object] = lambda _: None

    def __post_init__(self) -> None:
        """Make the sweeper."""
        self._flows = Flows({store.id: store for store in self.stores}).by_name()
        self.sweeper = Sweeper(self.stores, self.run, looks_every=lambda _: HOUR)

    def run(self, flow: str, *arguments: str) -> Json:
        """Run a flow as the engine does."""
        self.ran.append((flow, *arguments))
        self.before((flow, *arguments))
        if (flow, *arguments) in self.errors:
            raise self.errors[flow, *arguments]
        return self._flows[flow](*arguments)

    def sweep(self) -> list[tuple[str, ...]]:
        """Sweep once, and give the flows that ran: those of a lane in their order, which alone is certain."""
        self.ran.clear()
        self.sweeper.sweep()
        until(lambda: not self.sweeper.is_busy)
        return list(self.ran)


@pytest.fixture(autouse=True)
def said() -> Iterator[list[MutableMapping[str, Any]]]:
    """Keep what is logged instead of printing it."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def worker(shop: Shop) -> Worker:
    """Give a sweeper over the store that has looked through it already."""
    made = Worker([shop.store])
    made.sweep()
    return made


@pytest.fixture
def two(shop: Shop) -> Worker:
    """Give a sweeper over two stores of one ledger; the first in turn is not the shop's."""
    shop.ledger.stores.ensure(OTHER, site="another-site")
    return Worker([replace(shop.store, id=OTHER), shop.store])


def test_nothing_due_runs_nothing(worker: Worker) -> None:
    """An idle sweep starts no flow, and says that there was nothing."""
    assert worker.sweep() == []
    assert worker.sweeper.sweep() is False


def test_an_event_is_followed(shop: Shop, worker: Worker) -> None:
    """A webhook that came in is dealt with by the next sweep."""
    order_id = shop.order()
    shop.deliver()

    assert worker.sweep() == [("events", ID)]
    assert [row.state for row in shop.rows(order_id)] == [State.WAITING_NUMBER]


def test_a_shipment_is_sent(shop: Shop, worker: Worker) -> None:
    """What was taken in becomes a fulfillment."""
    row = shop.take(shop.order())

    assert worker.sweep() == [("send", ID)]
    assert shop.row(row).state is State.CREATED


def test_an_open_outcome_is_settled_when_its_time_has_come(shop: Shop, worker: Worker) -> None:
    """An unclear answer is left alone until Wix must have settled, and decided then."""
    row = shop.take(shop.order())
    shop.fault("create", effect="untold")
    worker.sweep()
    assert worker.sweep() == []

    shop.clock.advance(61)

    assert worker.sweep() == [("settle", ID)]
    assert shop.row(row).state is State.CREATED


def test_a_status_is_pushed(shop: Shop, worker: Worker) -> None:
    """A status that Wix is to be told is told."""
    row = shop.created(shop.order())
    shop.ledger.shipments.set_status(row.id, status=row.status, wanted_wix_status="Fulfilled")

    assert worker.sweep() == [("push", ID)]
    assert shop.fulfillments(row.order_id)[0]["status"] == "Fulfilled"


def test_a_parcel_that_is_due_is_asked_about(shop: Shop, worker: Worker) -> None:
    """A carrier is asked when a parcel's time has come, and not before."""
    row = shop.created(shop.order(), carrier="courier", url="https://track.courier.example/p/1")
    shop.ledger.parcels.poll_at([parcel.id for parcel in row.parcels], shop.clock() + timedelta(minutes=1))
    assert worker.sweep() == []

    shop.clock.advance(61)

    assert worker.sweep() == [("poll", ID)]


def test_a_store_is_looked_through_at_first_and_from_time_to_time(shop: Shop) -> None:
    """What no webhook told is found at the start and then as often as is asked for."""
    worker = Worker([shop.store])
    order_id = shop.order()

    assert ("reconcile", ID) in worker.sweep()
    assert shop.rows(order_id)
    shop.clock.advance(3599)
    assert ("reconcile", ID) not in worker.sweep()
    shop.clock.advance(2)
    assert ("reconcile", ID) in worker.sweep()


def test_a_paused_store_creates_nothing(shop: Shop, worker: Worker) -> None:
    """While a store is paused events are followed and nothing is created; what waited is sent afterwards."""
    row = shop.take(shop.order())
    shop.ledger.stores.set_paused(ID, paused=True)
    shop.deliver()

    paused = worker.sweep()
    shop.ledger.stores.set_paused(ID, paused=False)

    assert paused == [("events", ID)]
    assert worker.sweep() == [("send", ID)]
    assert shop.row(row).state is State.CREATED


@pytest.mark.parametrize("error", [WixForbidden("no permission", operation="search-orders"), ValueError("a mistake")])
def test_a_store_that_fails_holds_up_no_other(
    shop: Shop, two: Worker, error: Exception, said: list[MutableMapping[str, Any]]
) -> None:
    """One store's refused credentials or broken data are that store's alone, and the log says whose."""
    row = shop.take(shop.order())
    two.errors["reconcile", OTHER] = error

    ran = two.sweep()

    assert sorted(ran) == [("reconcile", OTHER), ("reconcile", ID), ("send", ID)]
    assert shop.row(row).state is State.CREATED
    assert [entry["flow"] for entry in said] == [("reconcile", OTHER)]


@pytest.mark.parametrize(
    ("hung", "goes_on"),
    [(("send", OTHER), ("send", ID)), (("reconcile", OTHER), ("send", ID)), (("poll", ID), ("send", ID))],
    ids=["other-store-sends", "other-store-reads", "own-carrier"],
)
def test_what_hangs_holds_up_its_own_lane_alone(
    shop: Shop, two: Worker, hung: tuple[str, str], goes_on: tuple[str, str]
) -> None:
    """While another store's Wix, or a carrier, gives no answer, this store's orders are shipped."""
    parcel = shop.created(shop.order(), carrier="courier", url="https://track.courier.example/p/1").parcels[0]
    shop.ledger.parcels.poll_at([parcel.id], shop.clock())
    row = shop.take(shop.order())
    let_go = threading.Event()
    two.before = lambda flow: let_go.wait(10) if flow == hung else None
    lost = replace(shop.store, id=OTHER)
    take_in(lost, Wish(order_id=shop.order(), carrier="ups", parcels=(("1Z999AA10123456784", None),)))
    try:
        two.sweeper.start()

        until(lambda: shop.row(row).state is State.CREATED)
        until(lambda: hung in two.ran)
        assert goes_on in two.ran
        assert two.ran.count(hung) == 1
    finally:
        let_go.set()
        two.sweeper.stop()


def test_a_flow_that_fails_holds_up_no_other_of_its_store(shop: Shop, worker: Worker) -> None:
    """Orders are shipped although the events cannot be dealt with."""
    row = shop.take(shop.order())
    shop.deliver()
    worker.errors["events", ID] = ValueError("a mistake")

    assert worker.sweep() == [("events", ID), ("send", ID)]
    assert shop.row(row).state is State.CREATED


def test_a_flow_that_fails_rests_longer_each_time(shop: Shop, worker: Worker) -> None:
    """It is tried again after 5 seconds, 10, 20 and so on, but never less often than every 5 minutes."""
    shop.take(shop.order())
    worker.errors["send", ID] = ValueError("a mistake")
    worker.sweep()

    for rest in (5, 10, 20, 40, 80, 160, 300, 300):
        shop.clock.advance(rest - 1)
        assert worker.sweep() == []
        shop.clock.advance(1)
        assert worker.sweep() == [("send", ID)]


def test_a_flow_that_works_again_is_as_good_as_new(shop: Shop, worker: Worker) -> None:
    """After a success the next failure rests briefly again."""
    worker.errors["send", ID] = ValueError("a mistake")
    shop.take(shop.order())
    for seconds in (0, 5, 10):
        shop.clock.advance(seconds)
        worker.sweep()
    failing = worker.errors.pop(("send", ID))
    shop.clock.advance(20)
    assert worker.sweep() == [("send", ID)]

    worker.errors["send", ID] = failing
    shop.take(shop.order())
    assert worker.sweep() == [("send", ID)]
    shop.clock.advance(5)
    assert worker.sweep() == [("send", ID)]


def test_a_wake_is_heard_at_once(shop: Shop, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle sweeper does not wait for its next turn when something comes in."""
    monkeypatch.setattr(sweeping, "IDLE_SECONDS", 600)
    looked = threading.Event()
    due = shop.ledger.parcels.due

    def look() -> list[DueGroup]:
        looked.set()
        return due()

    monkeypatch.setattr(shop.ledger.parcels, "due", look)
    worker.sweeper.start()
    assert looked.wait(10)

    row = shop.take(shop.order())
    worker.sweeper.wake()

    until(lambda: shop.row(row).state is State.CREATED)
    worker.sweeper.stop()


def test_stop_waits_for_the_flow_under_way_and_begins_no_other(shop: Shop) -> None:
    """Nothing is torn off in the middle, and nothing new is begun."""
    worker = Worker([shop.store])
    row = shop.take(shop.order())
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: tuple[str, ...]) -> None:
        begun.set()
        go_on.wait(10)

    worker.before = hold
    worker.sweeper.start()
    assert begun.wait(10)

    stopping = threading.Thread(target=worker.sweeper.stop)
    stopping.start()
    until(worker.sweeper._stop.is_set)
    assert stopping.is_alive()
    go_on.set()
    stopping.join(10)

    assert not stopping.is_alive()
    assert worker.ran == [("reconcile", ID)]
    assert shop.row(row).state is State.WAITING_LINK


def test_a_ledger_that_fails_for_a_while_is_survived(
    shop: Shop, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper goes on as soon as the ledger can be read again."""
    monkeypatch.setattr(sweeping, "AFTER_ERROR", timedelta(milliseconds=1))
    row = shop.take(shop.order())
    failed = threading.Event()
    due_stores = shop.ledger.inbox.due_stores

    def look(stores: Collection[str]) -> set[str]:
        try:
            return due_stores(stores)
        except Exception:
            failed.set()
            raise

    monkeypatch.setattr(shop.ledger.inbox, "due_stores", look)
    execute(shop.ledger.url, "ALTER TABLE inbox RENAME TO gone")
    worker.sweeper.start()
    assert failed.wait(10)

    execute(shop.ledger.url, "ALTER TABLE gone RENAME TO inbox")

    until(lambda: shop.row(row).state is State.CREATED)
    worker.sweeper.stop()
