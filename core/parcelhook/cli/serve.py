"""Answer ``parcelhook serve``: the service."""

from __future__ import annotations

import logging
import socket

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_line
from parcelhook.errors import ConfigurationError, InputError


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port; 0 for any.")
@pass_invocation
def serve(invocation: Invocation, *, host: str, port: int) -> None:
    """Run the service: webhooks in, fulfillments and statuses out.

    It takes Wix's webhooks at /webhooks and shipments at /shipments, works off whatever the ledger says is due, and
    stops on SIGINT or SIGTERM once what is under way has ended.
    """
    from parcelhook.cli.service import Service
    from parcelhook.logs import configure

    configure(level=logging.DEBUG if invocation.debug else logging.INFO)
    with invocation.installation() as installation:
        if not installation.settings.stores:
            msg = "no store is configured, so there is nothing to serve"
            raise ConfigurationError(msg, what_to_do="Write [stores.NAME] into parcelhook.toml.")
        service = Service(installation, only=invocation.store)
        try:
            listener = socket.create_server((host, port), backlog=512)
        except OSError as error:
            msg = f"cannot listen on {host}, port {port}: {error.strerror}"
            raise InputError(msg, field="--port", what_to_do="Name another --port, or 0 for a free one.") from error
        with listener:
            service.run(listener, on_ready=lambda url: _ready(invocation, url))


def _ready(invocation: Invocation, url: str) -> None:
    if invocation.as_json:
        write_json({"url": url, "role": "all"})
    else:
        write_line(f"parcelhook serves at {url}; Wix's webhooks go to {url}/webhooks.")
