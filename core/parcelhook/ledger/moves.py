"""Moves: what may happen to a shipment, as values; ``Shipments.move`` carries them out.

Each function takes the row it starts from and gives a Move. Whether the states allow it is decided in ``states``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from parcelhook.ledger import words
from parcelhook.ledger.rows import NewParcel, NewShipment, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.models import ShipmentItem, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A change of a shipment's state, with the notice that tells it.

    ``changes`` are further columns; ``stamps`` are columns that receive the present time. A move ends the claim
    unless ``keeps_claim``. ``parcels`` and ``items``, where given, replace the shipment's parcels and items.
    """

    row: ShipmentRow
    to: State
    kind: str
    detail: str = ""
    reason: str = ""
    changes: Mapping[str, object] = field(default_factory=dict)
    stamps: tuple[str, ...] = ()
    keeps_claim: bool = False
    parcels: tuple[NewParcel, ...] | None = None
    items: tuple[ShipmentItem, ...] | None = None


def wait_for_number(row: ShipmentRow, *, reason: str, due_at: datetime | None = None) -> Move:
    """Wait for a number: the carrier's, which is asked for at ``due_at``, or without that a person's."""
    changes = {"due_at": due_at, "error": reason}
    return Move(row=row, to=State.WAITING_NUMBER, kind="waiting_number", reason=reason, changes=changes)


def adjusted(row: ShipmentRow, *, items: tuple[ShipmentItem, ...], reason: str) -> Move:
    """Let a shipment that waits for its number hold other items, because its order changed."""
    detail = ", ".join(f"{item.quantity} of {item.line_item_id}" for item in items)
    return replace(noted(row, kind="adjusted", detail=detail, reason=reason), items=items)


def numbered(row: ShipmentRow, *, parcels: tuple[NewParcel, ...]) -> Move:
    """Take the numbers a carrier gave; the link comes next."""
    detail = ", ".join(parcel.number for parcel in parcels)
    return Move(row=row, to=State.WAITING_LINK, kind="numbered", detail=detail, parcels=parcels)


def revised(row: ShipmentRow, new: NewShipment) -> Move:
    """Ask for something else in place of a shipment that nothing was done about: it waited, or Wix refused it."""
    changes = {
        "intent_key": new.intent_key,
        "carrier": new.carrier,
        "account": new.account,
        "provider": "",
        "tracking_url": "",
        "link_source": "",
        "body_hash": new.body_hash,
        "source": new.source,
        "attempts": 0,
    }
    detail, reason = words.wanted(new)
    return Move(
        row=row,
        to=State.WAITING_LINK,
        kind="revised",
        detail=detail,
        reason=reason,
        changes=changes,
        parcels=new.parcels,
        items=new.items,
    )


def wait_for_link(row: ShipmentRow, *, reason: str, due_at: datetime | None = None) -> Move:
    """Wait for a valid link; the hook is asked again at ``due_at``."""
    changes = {"due_at": due_at, "error": reason, "attempts": row.attempts + 1}
    return Move(row=row, to=State.WAITING_LINK, kind="waiting_link", reason=reason, changes=changes)


def ready(row: ShipmentRow, *, provider: str, tracking_url: str = "", link_source: str = "", reason: str = "") -> Move:
    """Make a shipment ready to be sent, with what Wix will be told, and where the link came from."""
    changes = {
        "provider": provider,
        "tracking_url": tracking_url,
        "link_source": link_source,
        "attempts": 0,
        "ambiguous": 0,
    }
    why = reason or words.LINKS.get(link_source, link_source)
    return Move(row=row, to=State.READY, kind="ready", detail=tracking_url, reason=why, changes=changes)


def ready_again(row: ShipmentRow, *, reason: str, what_to_do: str = "", due_at: datetime | None = None) -> Move:
    """Put a shipment back to be sent, because Wix is known not to have it.

    With ``due_at`` it waits until then, and the reason is shown as its error.
    """
    changes = {"due_at": due_at, "error": reason if due_at else "", "what_to_do": what_to_do, **_link(row)}
    return Move(row=row, to=State.READY, kind="ready", reason=reason, changes=changes)


def sending(
    row: ShipmentRow, *, send_before: datetime, items: tuple[ShipmentItem, ...], order_number: str = ""
) -> Move:
    """Note, before the call leaves, which items it holds and until when it may leave."""
    changes = {
        "send_before": send_before,
        "attempts": row.attempts + 1,
        "order_number": order_number or row.order_number,
        **_link(row),
    }
    return Move(
        row=row,
        to=State.SENDING,
        kind="sending",
        detail=", ".join(f"{item.quantity} of {item.line_item_id}" for item in items),
        reason=words.LINKS.get(row.link_source, ""),
        changes=changes,
        stamps=("sent_at",),
        keeps_claim=True,
        items=items,
    )


def _link(row: ShipmentRow) -> dict[str, object]:
    """Give what Wix is told of the link: a plain one is found out anew each time, and written down when it is used."""
    return {"provider": row.provider, "tracking_url": row.tracking_url, "link_source": row.link_source}


def unsettled(row: ShipmentRow, *, due_at: datetime, error: str) -> Move:
    """Note that the outcome of the call is unknown; at ``due_at`` Wix is asked what it has."""
    changes = {"due_at": due_at, "error": error, "ambiguous": row.ambiguous + 1}
    return Move(row=row, to=State.SENDING, kind="unsettled", detail=error, changes=changes)


def settle_later(row: ShipmentRow, *, due_at: datetime, error: str) -> Move:
    """Put off asking Wix what it has, because it could not be asked."""
    changes = {"due_at": due_at, "error": error}
    return Move(row=row, to=State.SENDING, kind="unsettled", detail=error, changes=changes)


def created(
    row: ShipmentRow, *, fulfillment_id: str, wix_status: str | None, tracking_url: str = "", reason: str = ""
) -> Move:
    """Bind the shipment to its fulfillment; ``tracking_url`` is the link Wix shows, where it is known."""
    changes = {
        "fulfillment_id": fulfillment_id,
        "wix_status": wix_status,
        **_link(row),
        "tracking_url": tracking_url or row.tracking_url,
    }
    return Move(
        row=row,
        to=State.CREATED,
        kind="created",
        detail=fulfillment_id,
        reason=reason,
        changes=changes,
        stamps=("pushed_at",),
    )


def failed(row: ShipmentRow, *, error: str, what_to_do: str = "") -> Move:
    """Give up: Wix refused for good, and nothing happened there."""
    changes = {"error": error, "what_to_do": what_to_do}
    return Move(row=row, to=State.FAILED, kind="failed", detail=error, reason=what_to_do, changes=changes)


def needs_review(row: ShipmentRow, *, reason: str, what_to_do: str = "") -> Move:
    """Ask a person."""
    changes = {"error": reason, "what_to_do": what_to_do}
    return Move(row=row, to=State.NEEDS_REVIEW, kind="needs_review", reason=reason, detail=what_to_do, changes=changes)


def canceled(row: ShipmentRow, *, reason: str) -> Move:
    """Drop a shipment that Wix does not have."""
    return Move(row=row, to=State.CANCELED, kind="canceled", reason=reason)


def deleted(row: ShipmentRow, *, reason: str) -> Move:
    """Note that the fulfillment is gone from Wix; only then may the same intent be sent anew."""
    return Move(row=row, to=State.DELETED, kind="deleted", detail=row.fulfillment_id or "", reason=reason)


def pushed(row: ShipmentRow, *, wix_status: str) -> Move:
    """Note that Wix was told a status; one that is wanted since then stays wanted."""
    changes = {"wix_status": wix_status, "attempts": 0}
    return Move(row=row, to=State.CREATED, kind="pushed", detail=wix_status, changes=changes, stamps=("pushed_at",))


def push_later(row: ShipmentRow, *, due_at: datetime, error: str) -> Move:
    """Put off telling Wix a status."""
    changes = {"due_at": due_at, "error": error, "attempts": row.attempts + 1}
    return Move(row=row, to=State.CREATED, kind="push_later", detail=error, changes=changes)


def noted(
    row: ShipmentRow, *, kind: str, detail: str = "", reason: str = "", changes: Mapping[str, object] | None = None
) -> Move:
    """Note something about a shipment, which stays as it is but for the columns to be changed."""
    same = {"due_at": row.due_at, "error": row.error, "what_to_do": row.what_to_do}
    return Move(row=row, to=row.state, kind=kind, detail=detail, reason=reason, changes={**same, **(changes or {})})


def corrected(
    row: ShipmentRow,
    *,
    parcels: tuple[NewParcel, ...],
    carrier: str,
    provider: str,
    url: str,
    link_source: str = "",
    reason: str = "",
) -> Move:
    """Note that the fulfillment's number was corrected, here and at Wix; how far the parcel is starts anew."""
    changes = {
        "carrier": carrier,
        "provider": provider,
        "tracking_url": url,
        "link_source": link_source,
        "status": Status.UNKNOWN,
        "reason": None,
        "wanted_wix_status": None,
        "attempts": 0,
    }
    detail = ", ".join(parcel.number for parcel in parcels)
    return Move(
        row=row, to=State.CREATED, kind="corrected", detail=detail, reason=reason, changes=changes, parcels=parcels
    )


def kept(row: ShipmentRow, *, reason: str) -> Move:
    """Leave a shipment as Wix has it, because a person who was asked says so."""
    return Move(row=row, to=State.CREATED, kind="kept", detail=row.fulfillment_id or "", reason=reason)


def again(row: ShipmentRow, *, reason: str) -> Move:
    """Send a shipment that Wix does not have from the beginning, because a person who was asked says so."""
    changes = {"provider": "", "tracking_url": "", "link_source": "", "attempts": 0, "ambiguous": 0}
    return Move(row=row, to=State.WAITING_LINK, kind="again", reason=reason, changes=changes)
