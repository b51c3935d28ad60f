"""Take in what someone wants shipped, and write it down as an intent: from the command line, a file, or the API."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from parcelhook.errors import InputError, InvalidTrackingLink, NotFulfillable, ParcelhookError, ShipmentChanged
from parcelhook.fulfillment.linking import can_link
from parcelhook.fulfillment.orders import read_orders, unknown_order
from parcelhook.fulfillment.plan import remaining_quantities
from parcelhook.fulfillment.store import Store
from parcelhook.ledger import moves
from parcelhook.ledger.moves import Move
from parcelhook.ledger.rows import Added, NewParcel, NewShipment, ShipmentRow
from parcelhook.ledger.shipments import key_reused
from parcelhook.ledger.states import State
from parcelhook.links import checked_link
from parcelhook.models import ShipmentItem
from parcelhook.numbers import as_given, stands_for_none
from parcelhook.wix.wire import checked_id

KEY_LENGTH: Final = 200
QUANTITY_AT_MOST: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What someone wants shipped.

    ``parcels`` are numbers with, or without, their complete link. ``items`` maps line item ids to a quantity, or to
    None for all that remains of it; none at all means everything that remains. ``key`` is the caller's idempotency key.
    """

    order_id: str
    carrier: str
    parcels: tuple[tuple[str, str | None], ...]
    items: Mapping[str, int | None] = field(default_factory=dict)
    key: str | None = None
    source: str = "cli"


def wish_as_json(wish: Wish) -> dict[str, Any]:
    """Give a wish as a flow takes it."""
    return {name: getattr(wish, name) for name in _MEMBERS}


_MEMBERS: Final = tuple(member.name for member in fields(Wish))


def wish_from(value: Mapping[str, Any]) -> Wish:
    """Give the wish that was given to a flow."""
    return Wish(**{**value, "parcels": tuple((number, url) for number, url in value["parcels"])})


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The shipment a wish has become, and whether it is new."""

    row: ShipmentRow
    is_new: bool


def take_in(store: Store, wish: Wish) -> tuple[ShipmentRow, bool]:
    """Write a wish down as a shipment that waits to be sent, or find it; give it and whether it is new.

    The same key (without one, the same number) with another body raises KeyReused, unless nothing came of the first:
    what Wix refused, or what a person was asked about before anything was sent, may be asked for otherwise, and is
    tried anew; what was put off is due at once. An order that waited for its number gets it.
    """
    (taken,) = take_in_all(store, [wish])
    if isinstance(taken, ParcelhookError):
        raise taken
    return taken.row, taken.is_new


def take_in_all(store: Store, wishes: Sequence[Wish], *, held_for: float = 0.0) -> list[TakenIn | ParcelhookError]:
    """Take in wishes as ``take_in`` does, in a few statements, and give for each its shipment or what is wrong with it.

    With ``held_for``, this worker holds what is new for so many seconds.
    """
    taken: dict[int, TakenIn | ParcelhookError] = {}
    news: dict[int, NewShipment] = {}
    for place, wish in enumerate(wishes):
        try:
            news[place] = new_shipment(store, wish)
        except ParcelhookError as error:
            taken[place] = error
    known = _of_orders(store, news.values())
    counted = _counted(store, wishes, news, known)
    taken |= {place: each for place, each in counted.items() if isinstance(each, ParcelhookError)}
    good = {place: each for place, each in counted.items() if isinstance(each, NewShipment)}
    taken |= _numbered(store, good, known)
    rest = [place for place in good if place not in taken]
    owner = store.owner if held_for else ""
    added = store.ledger.shipments.add_all(
        [good[place] for place in rest], again=True, owner=owner, lease_seconds=held_for
    )
    for place, each in zip(rest, added, strict=True):
        taken[place] = _again(store, good[place], each)
    return [taken[place] for place in range(len(wishes))]


def _of_orders(store: Store, news: Iterable[NewShipment]) -> dict[str, list[ShipmentRow]]:
    """Give, by order, the shipments that are known already."""
    known: dict[str, list[ShipmentRow]] = defaultdict(list)
    for row in store.ledger.shipments.find(store=store.id, order_ids={new.order_id for new in news}, limit=100_000):
        known[row.order_id].append(row)
    return known


def _counted(
    store: Store,
    wishes: Sequence[Wish],
    news: Mapping[int, NewShipment],
    known: Mapping[str, Sequence[ShipmentRow]],
) -> dict[int, NewShipment | ParcelhookError]:
    """Give what is wanted with its items counted, or what is wrong with them."""
    # What was counted when it was first asked for may have been shipped since: nothing of it remains then.
    new = [
        place for place, its in news.items() if not any(_is_as_asked(row, its) for row in known.get(its.order_id, ()))
    ]
    left = _left(store, [wishes[place].order_id for place in new if None in wishes[place].items.values()])
    counted: dict[int, NewShipment | ParcelhookError] = dict(news)
    for place in new:
        try:
            counted[place] = replace(news[place], items=_items(wishes[place], left))
        except ParcelhookError as error:
            counted[place] = error
    return counted


def _is_as_asked(row: ShipmentRow, new: NewShipment) -> bool:
    """Tell whether a shipment is the very one that is wanted, and something came of it."""
    is_the_same = (row.intent_key, row.body_hash) == (new.intent_key, new.body_hash)
    return is_the_same and row.state is not State.DELETED and not _nothing_came_of(row)


def _numbered(
    store: Store, news: Mapping[int, NewShipment], known: Mapping[str, list[ShipmentRow]]
) -> dict[int, TakenIn | ParcelhookError]:
    """Give orders that wait for a number the first that comes without items, and tell which wishes that were."""
    moved: dict[str, tuple[int, Move]] = {}
    for place, new in news.items():
        its = known.get(new.order_id, ())
        waiting = None if new.items else _waiting_for_number(its, new)
        if waiting is not None:
            items = waiting.items if any(row is not waiting and _is_open(row) for row in its) else ()
            moved.setdefault(waiting.id, (place, moves.revised(waiting, replace(new, items=items))))
    # Where another process gave it a number first, that may be this very wish: adding it finds out.
    rows = store.ledger.shipments.move_all([move for _, move in moved.values()])
    return {moved[row.id][0]: TakenIn(row, is_new=True) for row in rows}


def _again(store: Store, new: NewShipment, added: Added) -> TakenIn | ParcelhookError:
    """Tell what a wish came to whose shipment was added or known: it may be asked for anew, or otherwise."""
    row = added.shipment
    try:
        if not added.is_new and _nothing_came_of(row):
            return TakenIn(store.ledger.shipments.move(moves.revised(row, new)), is_new=added.is_conflict)
        if added.is_conflict:
            return key_reused(new)
        return TakenIn(row if added.is_new else _due_now(store, row), is_new=added.is_new)
    except ShipmentChanged as error:
        return error


def _due_now(store: Store, row: ShipmentRow) -> ShipmentRow:
    """Let a shipment that was put off be due at once, for it was asked for again; an open outcome keeps its time."""
    if row.due_at is None or row.claimed_by is not None:
        return row
    if row.state is State.READY:
        return store.ledger.shipments.move(moves.ready_again(row, reason="it was asked for again"))
    if row.state is State.WAITING_LINK:
        move = moves.wait_for_link(row, reason="it was asked for again")
        # Only failures in a row are counted, and this is no failure.
        return store.ledger.shipments.move(replace(move, changes={"attempts": 0}))
    return row


def new_shipment(store: Store, wish: Wish) -> NewShipment:
    """Give what a wish asks for, checked as far as that needs no order: its items are left out."""
    carrier = store.registry.carrier(wish.carrier)
    if not wish.parcels:
        msg = "a shipment needs at least one tracking number"
        raise InputError(msg, field="number", what_to_do="Give the number the carrier gave the parcel.")
    if wish.parcels[0][1] is None and not can_link(store.registry, carrier):
        msg = f"{carrier.name} has no tracking page that parcelhook knows, and Wix needs a link for it"
        raise InvalidTrackingLink(msg, field="url", what_to_do="Give the complete link with the number.")
    parcels, local = [], store.wix.is_loopback
    for number, url in wish.parcels:
        given = as_given(number)
        if none := stands_for_none(given):
            raise InputError(none[0], field="number", what_to_do=none[1])
        link = "" if url is None else checked_link(url, carrier=carrier, allow_loopback=local, field="url")
        parcels.append(NewParcel(number=given, tracking_url=link))
    return NewShipment(
        store=store.id,
        order_id=checked_id(wish.order_id, field="order"),
        intent_key=_key(wish.key) if wish.key is not None else parcels[0].number_normalised,
        carrier=carrier.id,
        state=State.WAITING_LINK,
        source=wish.source,
        parcels=tuple(parcels),
        body=_body(wish, carrier.id, parcels),
    )


def _body(wish: Wish, carrier_id: str, parcels: list[NewParcel]) -> str:
    return json.dumps(
        [
            carrier_id,
            [[parcel.number_normalised, parcel.tracking_url] for parcel in parcels],
            sorted(wish.items.items()),
        ]
    )


def _key(key: str) -> str:
    if not 1 <= len(key) <= KEY_LENGTH or not key.isprintable():
        msg = f"the key is not 1 to {KEY_LENGTH} printable characters"
        raise InputError(msg, field="key", what_to_do="Use something like the id of your own record.")
    return key


def _items(wish: Wish, left: Mapping[str, Mapping[str, int]]) -> tuple[ShipmentItem, ...]:
    """Give the wanted items with explicit quantities, from what is left of each order where all of one is wanted."""
    items = []
    for line_item_id, quantity in wish.items.items():
        if quantity is not None and not 1 <= quantity <= QUANTITY_AT_MOST:
            msg = f"quantity {quantity} of line item {line_item_id} is not between 1 and {QUANTITY_AT_MOST}"
            raise InputError(msg, field="quantity", what_to_do="Leave an item out that is not to be shipped.")
        counted = quantity or _remaining(left.get(wish.order_id), wish.order_id, line_item_id)
        items.append(ShipmentItem(line_item_id=line_item_id, quantity=counted))
    return tuple(items)


def _remaining(left: Mapping[str, int] | None, order_id: str, line_item_id: str) -> int:
    if left is None:
        raise unknown_order(order_id)
    if not left.get(line_item_id):
        msg = f"nothing of line item {line_item_id} remains to be shipped"
        what_to_do = f"To be shipped are: {', '.join(id_ for id_, count in left.items() if count) or 'none'}."
        raise NotFulfillable(msg, field="item", what_to_do=what_to_do)
    return left[line_item_id]


def _left(store: Store, order_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Give what is left of each order; only "all of an item" needs this look at the order."""
    if not order_ids:
        return {}
    orders = read_orders(store.wix, order_ids, already_tried=set(order_ids))
    return {id_: remaining_quantities(now.order, now.shipped) for id_, now in orders.items()}


def _waiting_for_number(rows: Sequence[ShipmentRow], new: NewShipment) -> ShipmentRow | None:
    """Give the order's shipment that waits for a number from us, unless the wish's key has a shipment of its own.

    One that a carrier is being asked about is not for us. Where several wait, only that of the very carrier is meant:
    with another's number everything that remains is sent.
    """
    if any(row.intent_key == new.intent_key for row in rows):
        return None
    waiting = [row for row in rows if row.state is State.WAITING_NUMBER]
    waiting = [row for row in waiting if row.due_at is None and row.claimed_by is None]
    same = next((row for row in waiting if row.carrier == new.carrier), None)
    return same or (waiting[0] if len(waiting) == 1 else None)


def _is_open(row: ShipmentRow) -> bool:
    """Tell whether a shipment may still take something of its order that Wix does not show."""
    if row.state in {State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.SENDING}:
        return True
    return row.state is State.NEEDS_REVIEW and row.fulfillment_id is None


def _nothing_came_of(row: ShipmentRow) -> bool:
    """Tell whether Wix refused a shipment, or a person was asked about it before anything was sent."""
    return row.state is State.FAILED or (row.state is State.NEEDS_REVIEW and row.sent_at is None)
