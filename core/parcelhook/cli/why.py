"""Answer ``parcelhook why``: where an order stands, and everything that happened to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_line
from parcelhook.cli.steps import next_step
from parcelhook.errors import InputError

if TYPE_CHECKING:
    from parcelhook.cli.installation import Installation
    from parcelhook.ledger import HistoryEntry, Ledger, ShipmentParcel, ShipmentRow

WIDTH: Final = 100
SHOWN: Final = 600
"""How much of one text is shown; a carrier's answer may be a whole page."""

EVENTS: Final = "wix.ecom.v1."
"""What Wix's event types begin with; left out, so that a line shows the rest."""

PHRASES: Final[Mapping[str, str]] = {
    "event": "Webhook came in",
    "event_done": "Webhook dealt with",
    "call": "Wix was asked to",
    "added": "Wanted",
    "revised": "Wanted otherwise",
    "booking": "Booking",
    "booking_done": "Booking",
    "scan": "Scan",
    "waiting_number": "Waits for a tracking number",
    "adjusted": "Follows its order",
    "numbered": "Has its tracking number",
    "waiting_link": "Waits for a valid link",
    "ready": "Ready to be sent",
    "sending": "About to be sent to Wix",
    "unsettled": "What Wix did is not known yet; it will be looked up",
    "created": "The fulfillment exists",
    "failed": "Failed",
    "needs_review": "A person is asked to look",
    "canceled": "Canceled",
    "deleted": "The fulfillment is gone",
    "pushed": "Wix was told the status",
    "push_later": "Wix could not be told the status, and will be later",
    "push_dropped": "Wix is not told the status",
    "correcting": "About to correct it at Wix",
    "corrected": "Corrected at Wix",
    "not_correcting": "The correction was given up",
    "deleting": "About to delete the fulfillment at Wix",
    "kept": "Kept as Wix has it",
    "again": "Sent once more from the beginning",
    "status_seen": "Wix was found to have the status",
    "status_set": "Status set by hand",
    "reconcile_later": "Put off in a look through the store",
}
"""What each kind of entry is called; the status of a parcel and what is not listed are told by their own names."""

_REASON_FIRST: Final = "needs_review"


@click.command(cls=Command)
@click.argument("order")
@pass_invocation
def why(invocation: Invocation, *, order: str) -> None:
    """Show where an order stands, and everything that happened to it.

    ORDER is the order's id, or its number. Events, calls to Wix with their request ids, and decisions with their
    reasons are shown in order of time, all of it from what parcelhook kept: Wix is not asked. Times are UTC.
    """
    with invocation.installation() as installation:
        store, order_id = _found(installation, invocation.store, order)
        ledger = installation.ledger
        rows = ledger.shipments.find(store=store, order_id=order_id, limit=100_000)
        entries = ledger.history(store, order_id)
        if invocation.as_json:
            write_json(_described(store, order_id, rows, entries))
            return
        for line in (*_standing(ledger, store, order_id, rows), *_waiting(entries), "", *_timeline(rows, entries)):
            write_line(line)


def _found(installation: Installation, name: str | None, order: str) -> tuple[str, str]:
    """Give store and id of the order that is meant; raise InputError where none or several may be."""
    only = installation.settings.store_name(name) if name else None
    ledger = installation.ledger
    known = [(store, order) for store in ledger.stores_of_order(order)] or ledger.orders_numbered(order)
    meant = [each for each in known if only in {None, each[0]}]
    if len(meant) == 1:
        return meant[0]
    stores = sorted({store for store, _ in known})
    if len(meant) > 1 and len(stores) > 1:
        msg = f"the order {order} is known in several stores: {', '.join(stores)}"
        raise InputError(msg, field="--store", what_to_do=f"Add --store with one of: {', '.join(stores)}.")
    if meant:
        msg = f"several orders have the number {order}: {', '.join(order_id for _, order_id in meant)}"
        raise InputError(msg, field="ORDER", what_to_do="Give the id of the one that is meant.")
    msg = f"nothing is known of an order {order}" + (f" in the store {only}" if only else "")
    elsewhere = f"It is known in: {', '.join(stores)}. " if stores else ""
    what_to_do = (
        f"{elsewhere}Check the id or number, whether another store or database is meant (--store, --config), whether "
        "webhooks come in (parcelhook events), and the installation (parcelhook doctor)."
    )
    raise InputError(msg, field="ORDER", what_to_do=what_to_do)


def _described(store: str, order_id: str, rows: Sequence[ShipmentRow], entries: Sequence[HistoryEntry]) -> Json:
    return {
        "store": store,
        "order_id": order_id,
        "order_number": _number(rows),
        "shipments": [_shipment(row) for row in rows],
        "history": [
            {
                "at": each.at.isoformat(),
                "kind": each.kind,
                "shipment_id": each.shipment_id,
                "detail": each.detail,
                "reason": each.reason,
                "request_id": each.request_id,
                "path": each.path,
                "ended_at": _iso(each.ended_at),
            }
            for each in entries
        ],
    }


def _shipment(row: ShipmentRow) -> Json:
    from parcelhook.cli.shipments import describe

    return {
        **describe(row),
        "what_to_do": next_step(row),
        "link_source": row.link_source,
        "wanted_wix_status": row.wanted_wix_status,
        "due_at": _iso(row.due_at),
        "key": row.intent_key,
        "source": row.source,
        "items": [{"line_item_id": item.line_item_id, "quantity": item.quantity} for item in row.items],
        "parcels": [
            {
                "carrier": parcel.carrier,
                "tracking_number": parcel.number,
                "status": parcel.status.value,
                "reason": parcel.reason.value if parcel.reason else None,
                "found": parcel.found,
                "last_polled_at": _iso(parcel.last_polled_at),
                "next_poll_at": _iso(parcel.next_poll_at),
            }
            for parcel in row.parcels
        ],
    }


def _standing(ledger: Ledger, store: str, order_id: str, rows: Sequence[ShipmentRow]) -> Iterator[str]:
    """Say where the order stands now."""
    number = _number(rows)
    yield f"Order {number} ({order_id}) of store {store}" if number else f"Order {order_id} of store {store}"
    if ledger.stores.get(store).paused:
        yield "The store is paused: nothing is sent."
    if not rows:
        yield "No shipment of it is known."
    for place, row in enumerate(rows, start=1):
        yield ""
        yield f"Shipment {place} of {len(rows)}: {row.state.value}" if len(rows) > 1 else f"Shipment: {row.state.value}"
        for name, text in _facts(row):
            yield from _wrapped(f"  {name:12} ", _short(text))


def _waiting(entries: Sequence[HistoryEntry]) -> Iterator[str]:
    count = sum(each.kind == "event" and bool(each.reason) for each in entries)
    if count:
        yield ""
        yield f"{count} webhook{'s' if count > 1 else ''} of it {'are' if count > 1 else 'is'} still to be dealt with."


def _facts(row: ShipmentRow) -> Iterator[tuple[str, str]]:
    facts = {
        "id": row.id,
        "carrier": row.carrier,
        "number": ", ".join(parcel.number for parcel in row.parcels),
        "link": row.tracking_url or ("Wix builds it" if row.link_source == "wix" else ""),
        "fulfillment": row.fulfillment_id or "",
        "at Wix": _at_wix(row),
        "error": row.error,
        "what to do": next_step(row),
    }
    for name, text in facts.items():
        if text:
            yield name, text
        if name == "number":
            yield from (("parcel", _parcel(parcel)) for parcel in row.parcels if row.fulfillment_id)


def _at_wix(row: ShipmentRow) -> str:
    wanted = f"; {row.wanted_wix_status} is still to be told" if row.wanted_wix_status else ""
    return f"{row.wix_status or 'no status'}{wanted}" if row.fulfillment_id else ""


def _parcel(parcel: ShipmentParcel) -> str:
    status = parcel.status.value.replace("_", " ") + (f" ({parcel.reason.value})" if parcel.reason else "")
    if parcel.last_polled_at is None:
        asked = "the carrier was not asked yet" if parcel.next_poll_at else "the carrier is not asked"
    else:
        unknown = " and does not know it" if parcel.found is False else ""
        asked = f"the carrier was asked {_time(parcel.last_polled_at)}{unknown}"
    again = f", next {_time(parcel.next_poll_at)}" if parcel.next_poll_at else ""
    return f"{parcel.number}: {status}; {asked}{again}"


def _timeline(rows: Sequence[ShipmentRow], entries: Sequence[HistoryEntry]) -> Iterator[str]:
    places = {row.id: f"[{place}] " for place, row in enumerate(rows, start=1)} if len(rows) > 1 else {}
    yield "What happened (UTC)"
    for each in entries:
        yield from _wrapped(f"{_time(each.at)}  ", places.get(each.shipment_id, "") + _told(each))


def _told(entry: HistoryEntry) -> str:
    """Say what happened in one line."""
    phrase = PHRASES.get(entry.kind) or _named(entry.kind)
    parts = [entry.detail.removeprefix(EVENTS), entry.reason]
    if entry.kind == _REASON_FIRST:
        parts.reverse()
    if entry.request_id:
        parts.append(f"request id {entry.request_id}")
    said = "; ".join(_short(part.rstrip(".;")) for part in parts if part)
    return phrase + (" " if entry.kind == "call" else ": " if said else "") + said


def _named(kind: str) -> str:
    from parcelhook.models import Status

    name = kind.replace("_", " ")
    return f"The parcel is {name}" if kind in set(Status) else name.capitalize()


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _wrapped(start: str, text: str) -> list[str]:
    """Give a text in lines that fit the width; what follows the first is indented below it."""
    from textwrap import wrap

    from parcelhook.cli.output import printable

    # Made harmless first: a line break in it could pass for another entry.
    plain = printable(" ".join(text.split()))
    lines = wrap(
        plain,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [start.rstrip()]


def _number(rows: Sequence[ShipmentRow]) -> str:
    return next((row.order_number for row in rows if row.order_number), "")


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
