"""Answer ``parcelhook status``: how far an order's fulfillments are, and by hand one step further."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_table
from parcelhook.errors import InputError, WrongState

if TYPE_CHECKING:
    from parcelhook.fulfillment.store import Store
    from parcelhook.ledger import ShipmentRow
    from parcelhook.wix.fulfillments import Fulfillment


@click.command(cls=Command)
@click.argument("order")
@click.option("--set", "wanted", metavar="STATUS", help="Move on to this status: Wix's words, or ours like delivered.")
@click.option("--fulfillment", metavar="ID", help="The fulfillment to move on, where the order has several.")
@pass_invocation
def status(invocation: Invocation, *, order: str, wanted: str | None, fulfillment: str | None) -> None:
    """Show how far an order's fulfillments are, or move one on.

    ORDER is the order's id. Wix is told the status alone, and only ever one further on: a delivered parcel's
    fulfillment cannot become Ready again.
    """
    with invocation.installation() as installation:
        store = installation.store(invocation.store)
        if wanted is not None:
            _move_on(store, order, _wix_status(wanted), fulfillment)
        at_wix = _listed(store, order)
        ours = {row.fulfillment_id: row for row in store.ledger.shipments.find(store=store.id, order_id=order)}
    described = [_described(each, ours.get(each.id)) for each in at_wix]
    if invocation.as_json:
        write_json({"order_id": order, "fulfillments": described})
        return
    write_table(
        ("fulfillment", "at Wix", "parcel", "provider", "number", "link"),
        [_row(each, ours.get(each.id)) for each in at_wix],
        empty="The order has no fulfillments yet.",
    )


def _listed(store: Store, order: str) -> tuple[Fulfillment, ...]:
    from parcelhook.errors import WixNotFound

    try:
        return store.wix.list_fulfillments(order).fulfillments
    except WixNotFound as error:
        msg = f"the store has no order {order}"
        raise InputError(msg, field="ORDER", what_to_do="Take the order's id from `parcelhook orders`.") from error


def _described(each: Fulfillment, row: ShipmentRow | None) -> Json:
    info = each.tracking_info
    return {
        "id": each.id,
        "wix_status": each.status,
        "status": row.status.value if row else None,
        "shipment_id": row.id if row else None,
        "shipping_provider": info.provider if info else None,
        "tracking_number": info.number if info else None,
        "tracking_url": info.link if info else None,
        "parcels": [
            {
                "carrier": parcel.carrier,
                "tracking_number": parcel.number,
                "status": parcel.status.value,
                "reason": parcel.reason.value if parcel.reason else None,
            }
            for parcel in (row.parcels if row else ())
        ],
    }


def _row(each: Fulfillment, row: ShipmentRow | None) -> tuple[object, ...]:
    info = each.tracking_info
    number, link, provider = (info.number, info.link, info.provider) if info else (None, None, None)
    return (each.id, each.status, row.status.value if row else None, provider, number, link)


def _wix_status(wanted: str) -> str:
    """Give Wix's status for Wix's own word or one of ours."""
    from parcelhook.models import Status
    from parcelhook.statuses import WixStatus, wix_status

    word = wanted.strip().replace("-", "_").casefold()
    for known in WixStatus:
        if known.value.casefold() == word:
            return known.value
    ours = wix_status(Status(word)) if word in list(Status) else None
    if ours is None:
        known_words = ", ".join(
            [each.value for each in WixStatus] + [each.value for each in Status if wix_status(each)]
        )
        msg = f"--set {wanted}: is no status that Wix can be told"
        raise InputError(msg, field="--set", what_to_do=f"Known are: {known_words}.")
    return ours.value


def _move_on(store: Store, order: str, wanted: str, fulfillment_id: str | None) -> None:
    """Tell Wix a later status of one fulfillment."""
    from parcelhook.statuses import forward

    at_wix = _listed(store, order)
    if not at_wix:
        msg = f"order {order} has no fulfillment yet"
        raise InputError(msg, field="ORDER", what_to_do="Ship it first, with parcelhook fulfill.")
    chosen = [each for each in at_wix if fulfillment_id in {None, each.id}]
    if len(chosen) != 1:
        several = "has several fulfillments" if chosen else "has no such fulfillment"
        msg = f"order {order} {several}"
        known = ", ".join(each.id for each in at_wix)
        raise InputError(msg, field="--fulfillment", what_to_do=f"Name one with --fulfillment. It has: {known}.")
    current = chosen[0].status
    if current == wanted:
        return
    if not forward(current, wanted):
        msg = f"fulfillment {chosen[0].id} is {current} and cannot go back to {wanted}"
        raise WrongState(msg, field="--set", what_to_do="A status goes forward only.")
    store.wix.update_status(order, chosen[0].id, wanted)
    for row in store.ledger.shipments.find(store=store.id, order_id=order):
        if row.fulfillment_id == chosen[0].id:
            store.ledger.shipments.note_wix_status(row.id, wix_status=wanted)
            reason = f"{wanted} was set by hand"
            store.ledger.notices.add(store.id, kind="status_set", order_id=order, shipment_id=row.id, detail=reason)
