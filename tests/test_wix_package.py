"""The package of all that speaks Wix knows neither ledger nor sandbox, and loads only what is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import parcelhook.wix

PACKAGE = Path(parcelhook.wix.__file__).parent
FLOORS_ABOVE = ("ledger", "sandbox", "fulfillment", "tracking", "engine", "web", "cli", "testing")


def test_every_exported_name_is_where_the_table_says() -> None:
    """Each name of ``__all__`` loads, and no other does."""
    assert all(getattr(parcelhook.wix, name) is not None for name in parcelhook.wix.__all__)
    with pytest.raises(AttributeError, match="no attribute 'WixServer'"):
        _ = parcelhook.wix.WixServer


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_here_imports_a_floor_above(path: Path) -> None:
    """Ledger and flows use this package, never the other way round."""
    imported = [
        node.module or ""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]

    assert not [name for name in imported if name.startswith(tuple(f"parcelhook.{floor}" for floor in FLOORS_ABOVE))]


@pytest.mark.parametrize(
    ("module", "absent"),
    [("fulfillments", "httpx"), ("orders", "joserfc"), ("webhooks", "httpx"), ("client", "joserfc")],
)
def test_only_what_is_used_is_loaded(module: str, absent: str) -> None:
    """Models need no HTTP, a receiver no client, and a client no signatures."""
    code = f"import sys, parcelhook.wix.{module}; sys.exit({absent!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert import_module(f"parcelhook.wix.{module}").__doc__
