"""Answer ``parcelhook demo``: see all of it happen, over real HTTP, on this machine alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_line

if TYPE_CHECKING:
    from rich.table import Table

    from parcelhook.cli.showcase import Progress, Summary


@click.command(cls=Command)
@click.option("--orders", type=click.IntRange(2, 2000), default=50, show_default=True, help="How many orders to ship.")
@pass_invocation
def demo(invocation: Invocation, *, orders: int) -> int:
    """See all of it happen against a sandbox on this machine.

    A Wix store and a small local courier are started, orders are approved by signed webhook, fulfillments are created
    for predefined carriers and for the courier, every custom link is opened, and the courier's parcels are followed to
    the door. Nothing outside this machine is touched, and nothing is left behind.
    """
    from parcelhook.cli.showcase import Showcase

    if invocation.as_json:
        summary = Showcase(orders=orders).run()
        write_json(summary.as_json())
    elif sys.stdout.isatty():
        summary = _run_live(orders)
        _tell(summary)
    else:
        summary = Showcase(orders=orders, told=_Lines()).run()
        _tell(summary)
    return 1 if summary.problems else 0


class _Lines:
    """Print each step once, when it is complete."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        for step, (done, wanted) in progress.items():
            if wanted and done >= wanted and step not in self._printed:
                self._printed.add(step)
                write_line(f"{done:5} of {wanted:5}  {step}")


def _run_live(orders: int) -> Summary:
    from rich.live import Live

    from parcelhook.cli.showcase import Showcase

    with Live(refresh_per_second=12) as live:
        return Showcase(orders=orders, told=lambda progress: live.update(_table(progress))).run()


def _table(progress: Progress) -> Table:
    from rich import box
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table("what happens", "done", "of", "", box=box.SIMPLE_HEAD, header_style="bold")
    for step, (done, wanted) in progress.items():
        table.add_row(step, str(done), str(wanted or "?"), ProgressBar(total=wanted or 1, completed=done, width=30))
    return table


def _tell(summary: Summary) -> None:
    write_line()
    write_line(f"{summary.orders} orders approved by signed webhook ({summary.webhooks} webhooks kept).")
    write_line(f"{summary.fulfilled} have their fulfillment, {summary.bulk_calls} bulk calls among the creates.")
    write_line(f"{summary.links_ok} have a working tracking link: Wix's own, or a courier page that was opened.")
    write_line(f"{summary.delivered} of the courier's parcels were followed to Fulfilled.")
    for problem in summary.problems:
        write_line(f"Problem: {problem}")
    write_line(f"{'Done' if not summary.problems else 'Ended'} in {summary.seconds:.1f} seconds.")
