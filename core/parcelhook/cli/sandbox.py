"""Answer ``parcelhook sandbox``: a Wix store and carriers to try things out with."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
@click.option("--env", "env_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the variables there.")
@pass_invocation
def sandbox(
    invocation: Invocation, *, port: int, host: str, orders: int, rate_limit: int, env_file: Path | None
) -> None:
    """Run a Wix store and carriers on this machine.

    It speaks what Wix's reference describes, and runs until it is interrupted. Once it is ready, what a client needs
    is printed: as one line of JSON with --json, otherwise as variables to copy into another terminal. With --env they
    are written to a file to be read by ". FILE", with ORDER1, ORDER2 and so on for the orders' ids.
    """
    from parcelhook.sandbox import SandboxSettings, serve

    if env_file is not None and not os.access(env_file.parent, os.W_OK | os.X_OK):
        msg = f"the file {env_file} cannot be written: its folder is missing, or not to be written to"
        raise InputError(msg, field="--env", what_to_do="Name another file with --env.")
    settings = SandboxSettings(host=host, port=port, orders=orders, rate_limit=rate_limit)

    def on_ready(ready: Mapping[str, Any]) -> None:
        if env_file is not None:
            _write_env(env_file, ready)
        if invocation.as_json:
            write_json(ready)
        else:
            _show(ready)

    try:
        _remove(env_file)
        serve(settings, on_ready)
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"cannot listen on {host}, port {port}: {error.strerror}"
        raise InputError(msg, field="--port", what_to_do="Name another --port, or leave it out.") from error
    finally:
        _remove(env_file)


def _remove(env_file: Path | None) -> None:
    """Take the variables away: they are of no use before the sandbox is ready, and after it has ended."""
    if env_file is not None:
        try:
            env_file.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(env_file, error) from error


def _variables(ready: Mapping[str, Any]) -> dict[str, str]:
    return {
        "PARCELHOOK_WIX_URL": ready["url"],
        "PARCELHOOK_WIX_APP_ID": ready["app_id"],
        "PARCELHOOK_WIX_APP_SECRET": ready["app_secret"],
        "PARCELHOOK_WIX_INSTANCE_ID": ready["instance_id"],
        "PARCELHOOK_WIX_PUBLIC_KEY_FILE": ready["public_key_file"],
        "PARCELHOOK_TOKEN": "sandbox-token",
    }


def _write_env(path: Path, ready: Mapping[str, Any]) -> None:
    """Write the variables beside the file and move them there, so that a reader never sees half of them."""
    orders = {f"ORDER{number}": order_id for number, order_id in enumerate(ready["order_ids"], 1)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in {**_variables(ready), **orders}.items()]
    half = path.with_name(f"{path.name}.part")
    try:
        half.touch(mode=0o600)
        half.write_text("\n".join(lines) + "\n", encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    msg = f"the file {path} cannot be written: {error.strerror}"
    return InputError(msg, field="--env", what_to_do="Name another file with --env.")


def _show(ready: Mapping[str, Any]) -> None:
    write_line(f"A Wix store is ready at {ready['url']}. In another terminal:\n")
    for name, value in _variables(ready).items():
        write_line(f"  export {name}={shlex.quote(value)}")
    write_line(f"\n{len(ready['order_ids'])} orders wait to be shipped. Press Ctrl-C to end it.")
