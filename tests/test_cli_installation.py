"""What a configuration becomes: plug-ins with each store's accounts, one ledger, a client for each store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli_runs import open_shell
from parcelhook.cli.doctor import _clock
from parcelhook.cli.installation import Installation
from parcelhook.errors import ConfigurationError, LedgerError
from parcelhook.sandbox import SandboxSettings, running
from parcelhook.settings import Settings, Store


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    open_shell(tmp_path, monkeypatch)


def by_key(site: str = "site-1", **more: object) -> Store:
    """Give a store that is reached by API key."""
    return Store.model_validate({"api_key": "k", "site_id": site, "wix_url": "http://127.0.0.1:9", **more})


def test_parts_are_made_once_and_closed() -> None:
    """Registry, ledger, gate and client are each made when they are first asked for, and once."""
    with Installation(Settings(stores={"main": by_key()})) as installation:
        assert installation.ledger is installation.ledger
        assert installation.registry is installation.registry
        assert installation.gate() is installation.gate("main")
        assert installation.wix() is installation.wix("main")
        assert installation.wix().is_loopback
        assert [row.id for row in installation.ledger.stores.all()] == ["main"]


def test_a_store_with_accounts_has_plug_ins_of_its_own() -> None:
    """Only where a store has an account of its own are the plug-ins loaded for it apart."""
    stores = {"plain": by_key(), "own": by_key("site-2", carriers={"acme": {"key": "x"}})}
    with Installation(Settings(stores=stores)) as installation:
        own = installation.registry_of("own")

        assert installation.registry_of("plain") is installation.registry
        assert own is not installation.registry
        assert installation.registry_of("own") is own
        assert own.carrier("acme").name == "Acme Couriers"


def test_a_name_stays_with_its_site() -> None:
    """A store's name that the ledger knows as another site's is refused, for their orders would mix."""
    with Installation(Settings(stores={"main": by_key("site-1")})) as installation:
        installation.wix()

    with (
        Installation(Settings(stores={"main": by_key("site-2")})) as installation,
        pytest.raises(LedgerError, match="site-1, not site-2"),
    ):
        installation.wix()


def test_webhooks_need_the_public_key() -> None:
    """A store without a public key says where to set it, before any webhook is taken for genuine."""
    with (
        Installation(Settings(stores={"main": by_key()})) as installation,
        pytest.raises(ConfigurationError) as caught,
    ):
        installation.verifier()

    assert caught.value.where == "stores.main"
    assert "PARCELHOOK_WIX_PUBLIC_KEY" in caught.value.what_to_do


@pytest.mark.parametrize(("off", "direction"), [(300, "ahead of"), (-300, "behind")])
def test_a_clock_that_is_wrong_is_found(off: int, direction: str) -> None:
    """This machine's clock is compared with the one of the store's server."""
    with running(SandboxSettings()) as sandbox:
        settings = Settings(stores={"main": by_key(wix_url=sandbox.url)})
        clock = lambda: datetime.now(UTC) + timedelta(seconds=off)  # noqa: E731 - a clock of one line
        with Installation(settings, clock=clock) as installation:
            found = _clock(installation, "main")

    assert (found.ok, found.exit_code) == (False, ConfigurationError.exit_code)
    assert f"s {direction} Wix's" in found.detail
    assert "NTP" in found.what_to_do


def test_a_clock_nobody_shows_is_no_fault() -> None:
    """Where the server cannot be reached, the clock is not compared; access is a check of its own."""
    with Installation(Settings(stores={"main": by_key()})) as installation:
        found = _clock(installation, "main")

    assert (found.ok, found.exit_code) == (None, 0)
    assert found.detail.startswith("not compared")
