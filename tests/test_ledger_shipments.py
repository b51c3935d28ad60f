"""Shipments in the ledger: one per key, one owner at a time, moved only as the states allow."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from ledger_processes import add_all, claim_all, in_processes
from ledger_samples import ITEMS, NOON, FakeClock, wanted
from parcelhook.errors import InputError, KeyReused, LedgerError, ShipmentChanged, WrongState
from parcelhook.ledger import Ledger, NewParcel, NewShipment, ShipmentRow, State, moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.states import FOLLOWERS
from parcelhook.models import Reason, ShipmentItem, Status

pytest_plugins = ["ledger_databases"]


def claim(ledger: Ledger, owner: str = "one", *, state: State = State.READY, lease: float = 60) -> list[ShipmentRow]:
    """Claim all shipments of a state."""
    return ledger.shipments.claim("default", states={state}, owner=owner, lease_seconds=lease)


def create(ledger: Ledger, order_id: str = "order-1", number: str = "AC100") -> ShipmentRow:
    """Add a shipment and bind it to a fulfillment."""
    row, _ = ledger.shipments.add(wanted(order_id, number))
    row = ledger.shipments.move(moves.sending(row, send_before=NOON, items=ITEMS))
    return ledger.shipments.move(moves.created(row, fulfillment_id=f"fulfillment-{number}", wix_status="Ready"))


def kinds(ledger: Ledger, order_id: str = "order-1") -> list[str]:
    """Give the kinds of what happened to an order."""
    return [entry.kind for entry in ledger.history("default", order_id)]


def test_added_once(ledger: Ledger) -> None:
    """The same shipment asked for twice is one, and only the first is new."""
    first, is_new = ledger.shipments.add(wanted())
    second, is_new_again = ledger.shipments.add(wanted(source="api"))

    assert (is_new, is_new_again) == (True, False)
    assert first == second
    assert kinds(ledger) == ["added"]


def test_reads_back_what_was_added(ledger: Ledger, clock: FakeClock) -> None:
    """Every field, item and parcel of a new shipment is read back as it was given."""
    items = (ShipmentItem(line_item_id="b", quantity=2), ShipmentItem(line_item_id="a", quantity=1))
    parcels = (NewParcel(number="ac 2", tracking_url="https://acme.example/2"), NewParcel(number="AC1"))
    new = wanted(items=items, parcels=parcels, postal_code="12345", country="IL", due_at=NOON + timedelta(hours=1))

    row = ledger.shipments.get(ledger.shipments.add(new)[0].id)

    assert row.items == items
    assert [(parcel.number, parcel.number_normalised, parcel.tracking_url) for parcel in row.parcels] == [
        ("ac 2", "AC2", "https://acme.example/2"),
        ("AC1", "AC1", ""),
    ]
    assert row.tracking_number == "ac 2"
    assert (row.postal_code, row.country, row.due_at) == ("12345", "IL", NOON + timedelta(hours=1))
    assert (row.created_at, row.state, row.status, row.version) == (clock.now, State.READY, Status.UNKNOWN, 1)


@pytest.mark.parametrize(
    "other",
    [
        wanted(items=(ShipmentItem(line_item_id="item-1", quantity=1),)),
        wanted(carrier="other"),
        wanted(parcels=(NewParcel(number="AC100", tracking_url="https://acme.example/1"),)),
        wanted(body="something else"),
    ],
    ids=["quantity", "carrier", "link", "body"],
)
def test_number_with_another_body(ledger: Ledger, other: NewShipment) -> None:
    """A number that comes again with another body is refused by name, and changes nothing."""
    first, _ = ledger.shipments.add(wanted())

    with pytest.raises(KeyReused, match="number AC100") as refused:
        ledger.shipments.add(other)

    assert refused.value.field == "number"
    assert ledger.shipments.find() == [first]


def test_key_with_another_body(ledger: Ledger) -> None:
    """A caller's own key that comes again with another body is refused by name, and changes nothing."""
    first, _ = ledger.shipments.add(replace(wanted(), intent_key="row-7"))

    with pytest.raises(KeyReused, match="key row-7") as refused:
        ledger.shipments.add(replace(wanted(carrier="other"), intent_key="row-7"))

    assert refused.value.field == "key"
    assert ledger.shipments.find() == [first]


def test_add_all_tells_each(ledger: Ledger) -> None:
    """Of many shipments, each is told apart: new, known, and in conflict with one before it."""
    ledger.shipments.add(wanted("order-1"))
    news = [wanted("order-1"), wanted("order-2"), wanted("order-2"), wanted("order-2", carrier="other")]

    added = ledger.shipments.add_all(news)

    assert [(each.is_new, each.is_conflict) for each in added] == [
        (False, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert len(ledger.shipments.find()) == 2


def test_add_all_of_many(ledger: Ledger) -> None:
    """Hundreds of shipments are added in their order, whatever a transaction holds."""
    news = [wanted(f"order-{n}", f"AC{n}") for n in range(450)]

    added = ledger.shipments.add_all(news)

    assert [each.shipment.order_id for each in added] == [new.order_id for new in news]
    assert all(each.is_new for each in added)


def test_generation_after_deletion(ledger: Ledger) -> None:
    """A key starts anew only when asked to, and only after its fulfillment was seen deleted."""
    row = create(ledger)

    assert ledger.shipments.add(wanted(), again=True)[1] is False

    ledger.shipments.move(moves.deleted(row, reason="gone from Wix"))
    replayed, is_new = ledger.shipments.add(wanted())
    assert (replayed.state, is_new) == (State.DELETED, False)

    renewed, is_new = ledger.shipments.add(wanted(), again=True)
    assert (renewed.generation, renewed.state, is_new) == (2, State.READY, True)
    assert ledger.shipments.add(wanted(), again=True) == (renewed, False)


def test_added_by_two_processes(ledger: Ledger, ledger_url: str) -> None:
    """Two processes that add the same shipments make each of them once."""
    (ids, new), (other_ids, other_new) = in_processes(add_all, (ledger_url, 60), (ledger_url, 60))

    assert ids == other_ids
    assert new + other_new == 60
    assert len(ledger.shipments.find()) == 60


@pytest.mark.parametrize("before", State)
def test_allowed_moves(ledger: Ledger, before: State) -> None:
    """Every move in the table is carried out, and told in a notice of its own."""
    for after in FOLLOWERS[before]:
        row, _ = ledger.shipments.add(wanted(f"order-{after}", state=before))
        moved = ledger.shipments.move(Move(row=row, to=after, kind="moved", reason="because"))

        assert (moved.state, moved.version) == (after, row.version + 1)
        assert ledger.shipments.get(row.id) == moved
        assert kinds(ledger, f"order-{after}") == ["added", "moved"]


@pytest.mark.parametrize("before", State)
def test_forbidden_moves(ledger: Ledger, before: State) -> None:
    """Every move that is not in the table is refused, naming both states, and changes nothing."""
    row, _ = ledger.shipments.add(wanted(state=before))
    for after in set(State) - FOLLOWERS[before]:
        with pytest.raises(WrongState, match=f"{before}.*{after}"):
            ledger.shipments.move(Move(row=row, to=after, kind="moved"))

    assert ledger.shipments.get(row.id) == row
    assert kinds(ledger) == ["added"]


def test_every_state_is_in_the_table() -> None:
    """The table says of every state what may follow it, and of the last ones that nothing may."""
    assert set(FOLLOWERS) == set(State)
    assert [state for state, followers in FOLLOWERS.items() if not followers] == [State.CANCELED, State.DELETED]


def test_way_to_a_fulfillment(ledger: Ledger, clock: FakeClock) -> None:
    """A shipment that waits for number and link ends bound to its fulfillment, each step told."""
    row, _ = ledger.shipments.add(wanted(intent_key="booking-1", parcels=(), state=State.WAITING_NUMBER))
    row = ledger.shipments.move(moves.numbered(row, parcels=(NewParcel(number="AC7"),)))
    row = ledger.shipments.move(moves.wait_for_link(row, reason="no page yet", due_at=NOON))
    row = ledger.shipments.move(
        moves.ready(row, provider="Acme", tracking_url="https://a.example/7", link_source="hook")
    )
    row = ledger.shipments.move(moves.sending(row, send_before=NOON + timedelta(seconds=30), items=ITEMS))
    assert (row.sent_at, row.send_before, row.attempts) == (clock.now, NOON + timedelta(seconds=30), 1)

    row = ledger.shipments.move(moves.unsettled(row, due_at=NOON, error="timed out"))
    assert (row.state, row.ambiguous, row.error) == (State.SENDING, 1, "timed out")

    row = ledger.shipments.move(moves.created(row, fulfillment_id="f-1", wix_status="Ready"))
    assert (row.provider, row.tracking_url, row.tracking_number) == ("Acme", "https://a.example/7", "AC7")
    assert (row.fulfillment_id, row.wix_status, row.error, row.send_before) == ("f-1", "Ready", "", None)
    steps = ["added", "numbered", "waiting_link", "ready", "sending", "unsettled", "created"]
    assert kinds(ledger) == steps


def test_outdated_row_moves_nothing(ledger: Ledger) -> None:
    """A move from a row that is not the latest raises and changes nothing."""
    outdated, _ = ledger.shipments.add(wanted())
    latest = ledger.shipments.move(moves.canceled(outdated, reason="order canceled"))

    with pytest.raises(ShipmentChanged) as refused:
        ledger.shipments.move(moves.sending(outdated, send_before=NOON, items=ITEMS))

    assert refused.value.retryable
    assert ledger.shipments.get(outdated.id) == latest


def test_move_all_leaves_out_what_changed(ledger: Ledger) -> None:
    """Of many moves those are carried out, in their order, whose shipment nobody else has moved."""
    rows = [each.shipment for each in ledger.shipments.add_all([wanted(f"order-{n}") for n in range(3)])]
    ledger.shipments.move(moves.canceled(rows[1], reason="order canceled"))

    moved = ledger.shipments.move_all([moves.failed(row, error="refused") for row in reversed(rows)])

    assert [row.order_id for row in moved] == ["order-2", "order-0"]
    assert ledger.shipments.get(rows[1].id).state is State.CANCELED


def test_move_all_refuses_before_it_moves(ledger: Ledger) -> None:
    """A forbidden move among others keeps all of them from happening."""
    first = ledger.shipments.add(wanted("order-1"))[0]
    last = ledger.shipments.add(wanted("order-2", state=State.DELETED))[0]

    with pytest.raises(WrongState):
        ledger.shipments.move_all([moves.failed(first, error="x"), moves.failed(last, error="x")])

    assert ledger.shipments.get(first.id) == first


def test_fulfillment_belongs_to_one_shipment(ledger: Ledger) -> None:
    """A fulfillment cannot be bound to a second shipment of its order."""
    create(ledger, number="AC100")
    row, _ = ledger.shipments.add(wanted(number="AC200"))
    row = ledger.shipments.move(moves.sending(row, send_before=NOON, items=ITEMS))

    with pytest.raises(LedgerError):
        ledger.shipments.move(moves.created(row, fulfillment_id="fulfillment-AC100", wix_status=None))

    assert ledger.shipments.get(row.id) == row
    assert ledger.shipments.bound_fulfillments("default", ["order-1", "order-2"]) == {
        "order-1": {"fulfillment-AC100"},
        "order-2": set(),
    }


def test_correction_replaces_the_parcel(ledger: Ledger) -> None:
    """A corrected shipment has the new parcel alone, and keeps its fulfillment."""
    row = create(ledger)

    row = ledger.shipments.move(
        moves.corrected(
            row, parcels=(NewParcel(number="BX9"),), carrier="bex", provider="Bex", url="https://b.example/9"
        )
    )

    assert [(parcel.carrier, parcel.number) for parcel in row.parcels] == [("bex", "BX9")]
    assert (row.carrier, row.fulfillment_id) == ("bex", "fulfillment-AC100")


def test_claim_is_exclusive(ledger: Ledger) -> None:
    """What one owner holds no other gets, until it is moved on or let go."""
    ledger.shipments.add_all([wanted(f"order-{n}") for n in range(3)])
    held = ledger.shipments.claim("default", states={State.READY}, owner="one", lease_seconds=60, limit=2)

    assert [row.order_id for row in claim(ledger, "two")] == ["order-2"]

    ledger.shipments.release("two", [row.id for row in held])
    assert claim(ledger, "two") == []

    ledger.shipments.release("one", [row.id for row in held])
    assert [row.order_id for row in claim(ledger, "two")] == ["order-0", "order-1"]


def test_claim_waits_until_due(ledger: Ledger, clock: FakeClock) -> None:
    """A shipment that is due later is not given before."""
    ledger.shipments.add(wanted(due_at=NOON + timedelta(seconds=10)))

    assert claim(ledger) == []

    clock.advance(10)
    assert len(claim(ledger)) == 1


def test_claim_takes_what_was_asked_for(ledger: Ledger) -> None:
    """A claim keeps to its store, its states and the ids it names."""
    ledger.stores.ensure("other", site="site-2")
    ready, _ = ledger.shipments.add(wanted("order-1"))
    ledger.shipments.add(wanted("order-2"))
    ledger.shipments.add(wanted("order-3", state=State.WAITING_LINK))
    ledger.shipments.add(wanted("order-4", store="other"))

    claimed = ledger.shipments.claim("default", states={State.READY}, owner="one", lease_seconds=60, ids={ready.id})
    rest = claim(ledger)

    assert [row.id for row in claimed] == [ready.id]
    assert [row.order_id for row in rest] == ["order-2"]


def test_claim_of_what_has_a_moment(ledger: Ledger, clock: FakeClock) -> None:
    """A claim can keep to shipments whose moment was set and has come."""
    ledger.shipments.add(wanted("order-1"))
    ledger.shipments.add(wanted("order-2", due_at=NOON))
    ledger.shipments.add(wanted("order-3", due_at=NOON + timedelta(seconds=1)))

    claimed = ledger.shipments.claim("default", states={State.READY}, owner="one", lease_seconds=60, is_timed=True)

    assert [row.order_id for row in claimed] == ["order-2"]


def test_states_with_something_to_do(ledger: Ledger, clock: FakeClock) -> None:
    """A state is due while a shipment in it is due, free, and waits for us and not for a person."""
    for state in State:
        ledger.shipments.add(wanted(f"order-{state}", state=state, due_at=NOON + timedelta(seconds=10)))
    ledger.shipments.add(wanted("unasked", "AC1", state=State.WAITING_NUMBER))
    row = create(ledger, "order-1", "AC2")

    assert ledger.shipments.due()["default"] == set()

    ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")
    assert ledger.shipments.due()["default"] == {State.CREATED}

    clock.advance(10)
    open_states = {State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.SENDING, State.CREATED}
    assert ledger.shipments.due()["default"] == open_states

    claim(ledger)
    assert ledger.shipments.due()["default"] == open_states - {State.READY}
    assert ledger.shipments.due().keys() == {"default"}


def test_lost_lease_moves_nothing(ledger: Ledger, clock: FakeClock) -> None:
    """An owner whose lease ran out can neither move nor extend what another took over."""
    ledger.shipments.add(wanted())
    (mine,) = claim(ledger, "one", lease=60)
    clock.advance(61)
    (theirs,) = claim(ledger, "two")

    assert ledger.shipments.extend("one", [mine.id], lease_seconds=60) == set()
    assert ledger.shipments.move_all([moves.sending(mine, send_before=NOON, items=ITEMS)]) == []
    assert ledger.shipments.move(moves.sending(theirs, send_before=NOON, items=ITEMS)).claimed_by == "two"


def test_extended_lease_holds(ledger: Ledger, clock: FakeClock) -> None:
    """A lease that is extended in time keeps others away, and its row stays the latest."""
    ledger.shipments.add(wanted())
    (mine,) = claim(ledger, "one", lease=60)
    clock.advance(59)

    assert ledger.shipments.extend("one", [mine.id], lease_seconds=60) == {mine.id}

    clock.advance(59)
    assert claim(ledger, "two") == []
    assert ledger.shipments.move(moves.failed(mine, error="refused")).claimed_by is None


def test_claims_of_threads_are_disjoint(ledger: Ledger) -> None:
    """However many threads claim at once, each shipment goes to exactly one of them."""
    ledger.shipments.add_all([wanted(f"order-{n}") for n in range(60)])

    def take(owner: str) -> list[str]:
        taken: list[str] = []
        while rows := ledger.shipments.claim("default", states={State.READY}, owner=owner, lease_seconds=60, limit=4):
            taken += [row.id for row in rows]
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = [its for each in pool.map(take, [f"owner-{n}" for n in range(6)]) for its in each]

    assert len(taken) == len(set(taken)) == 60


def test_claims_of_processes_are_disjoint(ledger: Ledger, ledger_url: str) -> None:
    """Two processes that claim at once never get the same shipment, and leave none."""
    ledger.shipments.add_all([wanted(f"order-{n}", due_at=NOON) for n in range(80)])

    one, two = in_processes(claim_all, (ledger_url, "one"), (ledger_url, "two"))

    assert set(one).isdisjoint(two)
    assert len(one) + len(two) == len({*one, *two}) == 80


def test_status_is_pushed_forward_only(ledger: Ledger) -> None:
    """Only a status that Wix would move forward to becomes wanted; our own status follows the parcels freely."""
    row = create(ledger)

    def want(status: Status, wix_status: str | None) -> str | None:
        ledger.shipments.set_status(row.id, status=status, wanted_wix_status=wix_status)
        return ledger.shipments.get(row.id).wanted_wix_status

    assert want(Status.PRE_TRANSIT, "Ready") is None
    assert want(Status.DELIVERED, "Fulfilled") == "Fulfilled"
    assert want(Status.IN_TRANSIT, "In_Delivery") == "Fulfilled"
    assert ledger.shipments.get(row.id).status is Status.IN_TRANSIT


def test_status_is_told_when_it_changes(ledger: Ledger) -> None:
    """A status, or its reason, is told once."""
    row = create(ledger)
    answers = [
        ledger.shipments.set_status(row.id, status=Status.EXCEPTION, reason=reason)
        for reason in (None, None, Reason.CUSTOMS)
    ]

    assert answers == [True, False, True]
    assert kinds(ledger)[-2:] == ["exception", "exception"]


def test_pushes_fulfilled_first(ledger: Ledger, clock: FakeClock) -> None:
    """Shipments whose status Wix lacks are claimed, what was delivered before the rest."""
    rows = [create(ledger, f"order-{n}", f"AC{n}") for n in range(3)]
    ledger.shipments.set_status(rows[0].id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")
    clock.advance(1)
    ledger.shipments.set_status(rows[1].id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")

    claimed = ledger.shipments.claim_pushes("default", owner="one", lease_seconds=60)

    assert [row.wanted_wix_status for row in claimed] == ["Fulfilled", "In_Delivery"]
    assert ledger.shipments.claim_pushes("default", owner="two", lease_seconds=60) == []


def test_push_keeps_what_came_meanwhile(ledger: Ledger, clock: FakeClock) -> None:
    """A later status that came while an earlier one was pushed stays wanted, and is pushed next."""
    row = create(ledger)
    ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")
    (held,) = ledger.shipments.claim_pushes("default", owner="one", lease_seconds=60)
    ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")

    pushed = ledger.shipments.move(moves.pushed(held, wix_status="In_Delivery"))
    assert (pushed.wix_status, pushed.wanted_wix_status, pushed.pushed_at) == ("In_Delivery", "Fulfilled", clock.now)

    (held,) = ledger.shipments.claim_pushes("default", owner="one", lease_seconds=60)
    pushed = ledger.shipments.move(moves.pushed(held, wix_status="Fulfilled"))
    assert (pushed.wix_status, pushed.wanted_wix_status) == ("Fulfilled", None)


def test_push_put_off(ledger: Ledger, clock: FakeClock) -> None:
    """A push that failed is claimed again when it is due, and not before."""
    row = create(ledger)
    ledger.shipments.set_status(row.id, status=Status.DELIVERED, wanted_wix_status="Fulfilled")
    (held,) = ledger.shipments.claim_pushes("default", owner="one", lease_seconds=60)

    ledger.shipments.move(moves.push_later(held, due_at=NOON + timedelta(seconds=5), error="429"))

    assert ledger.shipments.claim_pushes("default", owner="one", lease_seconds=60) == []
    clock.advance(5)
    assert len(ledger.shipments.claim_pushes("default", owner="one", lease_seconds=60)) == 1


def test_status_set_at_wix_is_not_undone(ledger: Ledger) -> None:
    """What a merchant set at Wix is noted, and an earlier status is wanted no longer."""
    row = create(ledger)
    ledger.shipments.set_status(row.id, status=Status.IN_TRANSIT, wanted_wix_status="In_Delivery")

    ledger.shipments.note_wix_status(row.id, wix_status="Fulfilled")

    seen = ledger.shipments.get(row.id)
    assert (seen.wix_status, seen.wanted_wix_status) == ("Fulfilled", None)


def test_found_by_what_was_asked(ledger: Ledger, clock: FakeClock) -> None:
    """Shipments are found by store, state and order, the oldest first, page by page, and counted by state."""
    for number, state in enumerate((State.READY, State.FAILED, State.READY, State.WAITING_LINK)):
        ledger.shipments.add(wanted(f"order-{number}", state=state))
        clock.advance(1)

    def orders(rows: Sequence[ShipmentRow]) -> list[str]:
        return [row.order_id for row in rows]

    assert orders(ledger.shipments.find(states={State.READY})) == ["order-0", "order-2"]
    assert orders(ledger.shipments.find(order_id="order-1")) == ["order-1"]
    assert orders(ledger.shipments.find(limit=2, offset=1)) == ["order-1", "order-2"]
    assert ledger.shipments.find(store="other") == []
    assert ledger.shipments.count() == {State.READY: 2, State.FAILED: 1, State.WAITING_LINK: 1}


def test_unknown_shipment(ledger: Ledger) -> None:
    """An id that no shipment has is an error of the one who typed it."""
    with pytest.raises(InputError, match="no-such-id"):
        ledger.shipments.get("no-such-id")
    with pytest.raises(InputError, match="no-such-id"):
        ledger.shipments.set_status("no-such-id", status=Status.DELIVERED)


def test_naive_time_is_refused(ledger: Ledger) -> None:
    """A time without a zone is refused where it would be stored, and nothing is."""
    with pytest.raises(ValueError, match="time zone"):
        ledger.shipments.add(wanted(due_at=NOON.replace(tzinfo=None)))

    assert ledger.shipments.find() == []


def test_unknown_store_is_refused(ledger: Ledger) -> None:
    """A shipment of a store that the ledger does not know is not added."""
    with pytest.raises(LedgerError):
        ledger.shipments.add(replace(wanted(), store="unknown"))

    assert ledger.shipments.find() == []
