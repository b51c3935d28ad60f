"""Answer ``parcelhook sandbox``: a Wix store and carriers to try things out with."""

from __future__ import annotations

from collections.abc import Mapping

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_line
from parcelhook.errors import InputError


@click.command(cls=Command)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port to listen on; 0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--orders", type=click.IntRange(0, 1_000_000), default=5, show_default=True, help="Approved orders.")
@click.option(
    "--rate-limit", type=click.IntRange(min=0), default=200, show_default=True, help="Calls a minute; 0 for no limit."
)
@pass_invocation
def sandbox(invocation: Invocation, *, port: int, host: str, orders: int, rate_limit: int) -> None:
    """Run a Wix store and carriers on this machine.

    It speaks what Wix's reference describes, and runs until it is interrupted. Once it is ready, what a client needs
    is printed: as one line of JSON with --json, otherwise as variables to copy into another terminal.
    """
    from parcelhook.sandbox import SandboxSettings, serve

    settings = SandboxSettings(host=host, port=port, orders=orders, rate_limit=rate_limit)
    try:
        serve(settings, write_json if invocation.as_json else _show)  # type: ignore[arg-type]
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"cannot listen on {host}, port {port}: {error.strerror}"
        raise InputError(msg, field="--port", what_to_do="Name another --port, or leave it out.") from error


def _show(ready: Mapping[str, object]) -> None:
    carriers, orders = ready["carriers"], ready["order_ids"]
    write_line(f"A Wix store is ready at {ready['url']}. In another terminal:\n")
    for variable, key in {
        "PARCELHOOK_WIX_URL": "url",
        "PARCELHOOK_WIX_APP_ID": "app_id",
        "PARCELHOOK_WIX_APP_SECRET": "app_secret",
        "PARCELHOOK_WIX_INSTANCE_ID": "instance_id",
        "PARCELHOOK_WIX_PUBLIC_KEY_FILE": "public_key_file",
    }.items():
        write_line(f"  export {variable}={ready[key]}")
    for carrier, url in carriers.items() if isinstance(carriers, dict) else ():
        write_line(f"  export PARCELHOOK_CARRIERS__{carrier.upper().replace('-', '_')}__HOST={url}")
    count = len(orders) if isinstance(orders, (list, tuple)) else 0
    write_line(f"\n{count} orders wait to be shipped. Press Ctrl-C to end it.")
