"""Everything plugins/README.md shows runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carrier_wire import CarrierServer, Reply, carrier_server
from parcelhook.carrier import Capability, Carrier
from parcelhook.contexts import ContextFactory
from parcelhook.fulfillment.linking import tracking_info
from parcelhook.implementations import HOOKS
from parcelhook.models import Scan, Shipment, Status
from parcelhook.numbers import matches
from parcelhook.registry import Registry
from parcelhook.settings import Settings
from parcelhook.statuses import decide
from plugin_guide import GUIDE, NUMBER, shown, write
from plugin_shelf import Shelf, shelf

PACKAGE = "src/parcelhook_acme"
PAGE = f"https://track.acme.example/parcel/{NUMBER}?t=of-this-parcel"
SHIPMENT = Shipment(carrier="acme", tracking_number=NUMBER)

Installed = Callable[..., Shelf]


@pytest.fixture
def acme() -> Iterator[CarrierServer]:
    """Serve Acme's API, which knows one parcel."""
    with carrier_server() as server:
        server.reply(f"/parcels/{NUMBER}", Reply(body=f'{{"tracking_page": "{PAGE}"}}'.encode()))
        yield server


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installed]:
    """Install the guide's package, as it is shown first or last."""
    write(tmp_path, "pyproject.toml", f"{PACKAGE}/carrier.toml")
    points = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["entry-points"]["parcelhook"]
    (tmp_path / "site").mkdir()
    with shelf(tmp_path / "site") as target:

        def install(*, last: bool) -> Shelf:
            write(tmp_path, f"{PACKAGE}/__init__.py", last=last)
            files = {path.name: path.read_text() for path in (tmp_path / PACKAGE).iterdir()}
            # The shelf names packages itself, so the entry point is its own name with the guide's key.
            target.install("parcelhook-acme", files.pop("__init__.py"), names=next(iter(points)), files=files)
            return target

        yield install


def test_every_block_is_used_here() -> None:
    """A block that no test knows would go stale."""
    assert [block.path or block.language for block in shown()] == [
        "carriers/acme.toml",
        "console",
        "pyproject.toml",
        f"{PACKAGE}/carrier.toml",
        f"{PACKAGE}/__init__.py",
        "parcelhook.toml",
        f"{PACKAGE}/__init__.py",
    ]


def test_commands_print_what_is_shown(tmp_path: Path) -> None:
    """With the operator's file in its folder, the console shows what the guide says."""
    write(tmp_path, "carriers/acme.toml")
    (console,) = [block.text for block in shown() if block.language == "console"]
    command, expected = re.findall(r"^\$ parcelhook (.+)\n((?:[^$].*\n)+)", console, re.MULTILINE)[0]

    ran = subprocess.run(
        [sys.executable, "-m", "parcelhook", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, expected, "")


def test_package_gives_the_link_that_acme_gives(acme: CarrierServer, installed: Installed) -> None:
    """The package as it stands is active, and its hook's link goes to Wix."""
    contexts = ContextFactory({"acme": {"host": acme.url}})
    with Registry(entry_points=installed(last=False).entry_points(), contexts=contexts) as registry:
        info = tracking_info(registry, SHIPMENT)
        (row,) = registry.plugins()

    assert (row.name, row.state, row.carriers) == ("acme", "active", ("acme",))
    assert (info.provider, info.url) == ("Acme Couriers", PAGE)


def test_key_is_read_from_the_configuration(acme: CarrierServer, installed: Installed, tmp_path: Path) -> None:
    """The key of the guide's parcelhook.toml is what Acme is shown."""
    write(tmp_path, "parcelhook.toml")
    configured = Settings.load(tmp_path / "parcelhook.toml", environment={"PARCELHOOK_CARRIERS__ACME__HOST": acme.url})
    contexts = ContextFactory({"acme": configured.carrier("acme")})
    with Registry(entry_points=installed(last=True).entry_points(), contexts=contexts) as registry:
        assert registry.resolve_tracking_url(SHIPMENT) == PAGE

    assert acme.asked[-1].headers["x-acme-key"] == "the account's key"


def test_key_is_read_from_the_environment() -> None:
    """The variable the guide names is the key's."""
    (variable,) = set(re.findall(r"PARCELHOOK_CARRIERS__\w+", GUIDE.read_text(encoding="utf-8")))

    configured = Settings.load(environment={variable: "a key"})
    assert configured.carrier("acme") == {"key": "a key"}


def test_definition_knows_the_number_and_decides_codes(tmp_path: Path) -> None:
    """The number of the examples has the right check digit, and the status table means what it says."""
    write(tmp_path, f"{PACKAGE}/carrier.toml")
    (carrier,) = Carrier.read(tmp_path / PACKAGE / "carrier.toml")

    assert matches(carrier, NUMBER)
    assert not matches(carrier, NUMBER[:-1] + "3")
    assert {code: decide(carrier, scan(code)).status for code in ("10", "31", "40", "99")} == {
        "10": Status.PRE_TRANSIT,
        "31": Status.EXCEPTION,
        "40": Status.DELIVERED,
        "99": Status.UNKNOWN,
    }
    assert decide(carrier, scan("25")).informational


def scan(code: str) -> Scan:
    """Give a scan with a code."""
    return Scan.model_validate({"code": code, "time": "2026-01-05T09:00:00Z"})


def test_table_lists_every_hook_as_it_is() -> None:
    """Name, arguments and async are those of the hooks themselves."""
    rows = re.findall(r"^\| `(async )?(parcelhook_\w+)\((.*?)\)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)

    assert [(name, tuple(taken.split(", ")) if taken else (), bool(mark)) for mark, name, taken in rows] == [
        (hook.name, hook.arguments, hook.is_async) for hook in HOOKS.values()
    ]


def test_whole_example_does_what_the_guide_says_of_it() -> None:
    """The carrier to copy books, tracks and links, and lives in this folder."""
    (carrier,) = Carrier.read(GUIDE.parent / "parcelhook_courier" / "carrier.toml")

    assert carrier.capabilities == {Capability.BOOK, Capability.TRACK, Capability.LINK}
