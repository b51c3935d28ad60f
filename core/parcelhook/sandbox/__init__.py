"""Serve a Wix store and a small courier on loopback, speaking only the wire.

Made after Wix's published contract and sharing nothing with the client: what works against the sandbox works
because it keeps to the contract. ``running`` serves in the background of a test, ``serve`` in the foreground
of a command, ``create_app`` gives the ASGI application alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parcelhook.sandbox.app import create_app
    from parcelhook.sandbox.server import Running, running, serve
    from parcelhook.sandbox.settings import SandboxSettings, Switches

__all__ = ["Running", "SandboxSettings", "Switches", "create_app", "running", "serve"]

_HOMES = {
    "Running": "server",
    "SandboxSettings": "settings",
    "Switches": "settings",
    "create_app": "app",
    "running": "server",
    "serve": "server",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
