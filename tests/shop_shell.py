"""The fixture of tests about commands that work a store: the shell of whoever runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_runs import Shell, open_shell
from shops import ID, Shop


@pytest.fixture
def shell(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell in which the shop is the one store, on the same ledger."""
    ready = {name: str(value) for name, value in shop.sandbox.ready.items()}
    store = {"wix_url": shop.sandbox.url, **{name: ready[name] for name in ("app_id", "app_secret", "instance_id")}}
    variables = {f"PARCELHOOK_STORES__{ID.upper()}__{name.upper()}": value for name, value in store.items()}
    return open_shell(tmp_path, monkeypatch, PARCELHOOK_DATABASE_URL=shop.store.ledger.url, **variables)
