"""Answer ``parcelhook status``: how far an order's fulfillments are, and by hand one step further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_line, write_table
from parcelhook.errors import InputError, WrongState

if TYPE_CHECKING:
    from parcelhook.fulfillment.comparison import Compared
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

    ORDER is the order's id. Wix is asked what it has now, which is shown beside what parcelhook knows, with what
    differs. Wix is told the status alone, and only ever one further on: a delivered parcel's fulfillment cannot become
    Ready again.
    """
    from parcelhook.fulfillment.comparison import compare

    if fulfillment is not None and wanted is None:
        msg = "--fulfillment goes with --set"
        raise click.UsageError(msg)
    with invocation.installation() as installation:
        store = installation.store(invocation.store)
        if wanted is not None:
            _move_on(store, order, _wix_status(wanted), fulfillment)
        at_wix = _listed(store, order)
        rows = store.ledger.shipments.find(store=store.id, order_id=order, limit=100_000)
    compared = compare(at_wix, rows)
    if invocation.as_json:
        write_json(
            {
                "order_id": order,
                "fulfillments": [_described(each) for each in compared if each.fulfillment],
                "shipments": [_not_at_wix(each) for each in compared if each.fulfillment is None],
            }
        )
        return
    _tell(compared)


def _listed(store: Store, order: str) -> tuple[Fulfillment, ...]:
    from parcelhook.errors import WixInvalidRequest, WixNotFound

    try:
        return store.wix.list_fulfillments(order).fulfillments
    except (WixNotFound, WixInvalidRequest) as error:
        # With which of them Wix answers for an id it does not know is not settled.
        msg = f"the store has no order {order}"
        raise InputError(msg, field="ORDER", what_to_do="Take the order's id from `parcelhook orders`.") from error


def _described(each: Compared) -> Json:
    fulfillment, row = each.fulfillment, each.row
    info = fulfillment.tracking_info if fulfillment else None
    return {
        "id": fulfillment.id if fulfillment else None,
        "wix_status": fulfillment.status if fulfillment else None,
        "status": row.status.value if row else None,
        "shipment_id": row.id if row else None,
        "state": row.state.value if row else None,
        "shipping_provider": info.provider if info else None,
        "tracking_number": info.number if info else None,
        "tracking_url": info.link if info else None,
        "line_items": [
            {"line_item_id": item.id, "quantity": item.quantity}
            for item in (fulfillment.line_items if fulfillment else ())
        ],
        "parcels": _parcels(row),
        "differences": _differences(each),
    }


def _not_at_wix(each: Compared) -> Json:
    from parcelhook.cli.shipments import describe

    return {
        **(describe(each.row) if each.row else {}),
        "parcels": _parcels(each.row),
        "differences": _differences(each),
    }


def _parcels(row: ShipmentRow | None) -> Json:
    return [
        {
            "carrier": parcel.carrier,
            "tracking_number": parcel.number,
            "status": parcel.status.value,
            "reason": parcel.reason.value if parcel.reason else None,
        }
        for parcel in (row.parcels if row else ())
    ]


def _differences(each: Compared) -> Json:
    return [{"what": found.what, "at_wix": found.at_wix, "here": found.here} for found in each.differences]


def _tell(compared: Sequence[Compared]) -> None:
    at_wix = [each for each in compared if each.fulfillment is not None]
    write_table(
        ("fulfillment", "at Wix", "parcel", "provider", "number", "link", "shipment"),
        [_row(each) for each in at_wix],
        empty="The order has no fulfillments yet.",
    )
    others = [each.row for each in compared if each.fulfillment is None and each.row is not None]
    if others:
        write_line("\nNot at Wix:")
        columns = ("shipment", "state", "carrier", "number", "error")
        write_table(columns, [(row.id, row.state.value, row.carrier, row.tracking_number, row.error) for row in others])
    for line in (line for each in compared for line in each.told):
        write_line(f"\nDiffers: {line}")


def _row(each: Compared) -> tuple[object, ...]:
    fulfillment, row = each.fulfillment, each.row
    info = fulfillment.tracking_info if fulfillment else None
    number, link, provider = (info.number, info.link, info.provider) if info else (None, None, None)
    its = (fulfillment.id, fulfillment.status) if fulfillment else (None, None)
    return (*its, row.status.value if row else None, provider, number, link, row.id if row else "not ours")


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
