"""Answer ``parcelhook review``: what waits for a person, and each way out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Group, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_line, write_table

if TYPE_CHECKING:
    from parcelhook.fulfillment.reviews import Review
    from parcelhook.fulfillment.store import Store
    from parcelhook.ledger import ShipmentRow


@click.group(cls=Group)
def review() -> None:
    """Show what waits for a person, and decide it."""


@review.command("list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """Show what waits for a person, since when, why, and the ways out.

    The oldest comes first. The ways out are commands to be copied; each asks Wix first what it has now.
    """
    from parcelhook.fulfillment.reviews import in_review

    with invocation.installation() as installation:
        names = installation.settings.store_names(invocation.store)
        reviews = in_review(installation.ledger, store=names[0] if invocation.store else None)
    if invocation.as_json:
        write_json([_described(each) for each in reviews])
        return
    write_table(
        ("store", "shipment", "order", "carrier", "number", "since (UTC)", "why"),
        [
            (
                each.row.store,
                each.row.id,
                each.row.order_number or each.row.order_id,
                each.row.carrier,
                each.row.tracking_number,
                f"{each.since:%Y-%m-%d %H:%M}",
                each.why,
            )
            for each in reviews
        ],
        empty="Nothing waits for a person.",
        leave_out=() if len(names) > 1 else ("store",),
    )
    for each in reviews:
        _tell_ways(each)


@review.command()
@click.argument("shipment_id", metavar="ID")
@click.option("--keep", is_flag=True, help="What is at Wix stands.")
@click.option("--fulfillment", metavar="F", help="With --keep: the fulfillment it is, where its number does not tell.")
@click.option("--delete", is_flag=True, help="Delete the fulfillment at Wix, as shipments delete does.")
@click.option("--again", is_flag=True, help="Send or book it anew, where Wix does not have it.")
@click.option("--drop", is_flag=True, help="Ship nothing, where Wix does not have it.")
@click.option("--yes", "is_sure", is_flag=True, help="With --delete: do not ask.")
@pass_invocation
def resolve(
    invocation: Invocation,
    *,
    shipment_id: str,
    fulfillment: str | None,
    is_sure: bool,
    keep: bool,
    delete: bool,
    again: bool,
    drop: bool,
) -> int:
    """Decide about a shipment that waits for a person.

    ID is the shipment's, as `parcelhook review list` shows it. Wix is asked first what it has now.
    """
    from parcelhook.cli.shipments import delete_shipment, describe
    from parcelhook.cli.subject import carried_on, exit_code, subject
    from parcelhook.fulfillment.reviews import check_in_review

    way = _way({"keep": keep, "delete": delete, "again": again, "drop": drop}, fulfillment=fulfillment)
    with invocation.installation() as installation:
        store, row = subject(invocation, installation, shipment_id)
        check_in_review(store, row, way=way)
        if way == "delete":
            return delete_shipment(invocation, installation, shipment_id, is_sure=is_sure)
        row = _taken(store, row, way, fulfillment)
        if way == "again":
            row = carried_on(installation, store, row)
    if invocation.as_json:
        write_json(describe(row))
    else:
        write_line(f"Shipment {row.id} is {row.state.value} now.")
    return exit_code(row)


def _way(ways: dict[str, bool], *, fulfillment: str | None) -> str:
    taken = [way for way, is_taken in ways.items() if is_taken]
    options = ", ".join(f"--{way}" for way in ways)
    if len(taken) != 1:
        msg = f"give exactly one of {options}" + (f", not {' and '.join(f'--{way}' for way in taken)}" if taken else "")
        raise click.UsageError(msg)
    if fulfillment is not None and taken != ["keep"]:
        msg = "--fulfillment goes with --keep alone"
        raise click.UsageError(msg)
    return taken[0]


def _taken(store: Store, row: ShipmentRow, way: str, fulfillment: str | None) -> ShipmentRow:
    from parcelhook.fulfillment import reviews

    if way == "keep":
        return reviews.keep(store, row, fulfillment_id=fulfillment)
    return reviews.again(store, row) if way == "again" else reviews.drop(store, row)


def _described(each: Review) -> Json:
    from parcelhook.cli.shipments import describe

    return {
        **describe(each.row),
        "since": each.since.isoformat(),
        "why": each.why,
        "what_to_do": each.what_to_do,
        "ways_out": [{"way": way, "command": _command(each, way), "meaning": meaning} for way, meaning in _ways(each)],
    }


def _ways(each: Review) -> list[tuple[str, str]]:
    from parcelhook.fulfillment.reviews import MEANING

    return [(way, MEANING[way]) for way in each.ways]


def _command(each: Review, way: str) -> str:
    return f"parcelhook review resolve {each.row.id} --{way}"


def _tell_ways(each: Review) -> None:
    write_line(f"\n{each.row.id}: {each.what_to_do or each.why}")
    for way, meaning in _ways(each):
        write_line(f"  {_command(each, way):<70}  # {meaning}")
