"""The command ``parcelhook`` itself: its options, and the table of its commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from parcelhook import __version__
from parcelhook.cli.failures import exit_code, pipe_closed
from parcelhook.cli.invocation import common_options
from parcelhook.cli.lazy import Entry, LazyGroup, Sections

COMMANDS: Final[Sections] = {
    "Orders and shipments": {
        "fulfill": Entry("parcelhook.cli.fulfill:fulfill", "Create the fulfillment of an order's parcel."),
        "orders": Entry("parcelhook.cli.orders:orders", "Show the store's orders, and which ones wait."),
        "shipments": Entry("parcelhook.cli.shipments:shipments", "Show what is shipped, and how far each shipment is."),
        "status": Entry("parcelhook.cli.status:status", "Show how far an order's fulfillments are, or move one on."),
        "why": Entry("parcelhook.cli.why:why", "Show where an order stands, and everything that happened to it."),
        "review": Entry("parcelhook.cli.review:review", "Show what waits for a person, and decide it."),
        "events": Entry("parcelhook.cli.events:events", "Show the webhook events that came in, and what followed."),
        "replay": Entry("parcelhook.cli.replay:replay", "Deal with a webhook event once more."),
        "serve": Entry("parcelhook.cli.serve:serve", "Run the service: webhooks in, fulfillments and statuses out."),
        "demo": Entry("parcelhook.cli.demo:demo", "See all of it happen against a sandbox on this machine."),
    },
    "Numbers and links": {
        "identify": Entry("parcelhook.cli.identify:identify", "Tell which carriers may have given a number."),
        "link": Entry("parcelhook.cli.link:link", "Build the tracking link of a number."),
    },
    "Carriers and plug-ins": {
        "carriers": Entry("parcelhook.cli.carriers:carriers", "Show the carriers that are served."),
        "plugins": Entry("parcelhook.cli.plugins:plugins", "Show the plug-ins that are installed."),
    },
    "Installation": {
        "doctor": Entry("parcelhook.cli.doctor:doctor", "Check the installation, store by store."),
        "sandbox": Entry("parcelhook.cli.sandbox:sandbox", "Run a Wix store and carriers on this machine."),
    },
}
"""Every command; a test holds each text equal to the command's own short help."""


class Root(LazyGroup):
    """The outermost group, which turns whatever happens into an exit code."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.params = [*common_options(all_shown=True), *self.params]

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named; a closed pipe is told from click's own ideas of an exit code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return pipe_closed()

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: object) -> NoReturn:  # type: ignore[override]
        """Run a command and end the process."""
        arguments = list(sys.argv[1:] if args is None else args)

        def run() -> object:
            settings: dict[str, Any] = {**extra, "standalone_mode": False}
            return super(Root, self).main(arguments, prog_name or "parcelhook", **settings)

        sys.exit(exit_code(run, arguments=arguments))


@click.group(cls=Root, sections=COMMANDS)
@click.version_option(__version__, message="%(prog)s %(version)s")
def parcelhook() -> None:
    """Connect any carrier to a Wix store.

    Approved orders become fulfillments with a working tracking link, exactly once each, and each fulfillment's status
    moves along until the parcel is at the door. Configuration is read from parcelhook.toml and PARCELHOOK_ variables.
    """
