"""A stranger's package, built as plugins/README.md shows, serves its carrier beside the installed parcelhook.

Both are wheels in a virtual environment of their own, and what runs there is the installed command.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from carrier_wire import CarrierServer, Reply, carrier_server
from parcelhook import __version__
from parcelhook.sandbox import Running, SandboxSettings, running
from plugin_guide import NUMBER, write

ROOT = Path(__file__).parent.parent
UV = shutil.which("uv")
PAGE = f"https://track.acme.example/parcel/{NUMBER}?t=of-this-parcel"


@dataclass(frozen=True)
class Place:
    """A virtual environment with both packages, and a folder to work in."""

    venv: Path
    folder: Path

    def run(self, *arguments: str, **variables: str) -> Any:  # noqa: ANN401 - any JSON
        """Run the installed command with ``--json`` and give what it printed."""
        ran = subprocess.run(
            [self.venv / "bin" / "parcelhook", *arguments, "--json"],
            cwd=self.folder,
            env=clean_environment() | {"PARCELHOOK_DATABASE_URL": f"sqlite:///{self.folder}/ledger.db"} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return json.loads(ran.stdout)


def clean_environment() -> dict[str, str]:
    """Give the environment without anything that leads to this source tree."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"} and not name.startswith(("PARCELHOOK_", "COV_"))
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Build both wheels and install them in an environment that holds nothing else."""
    folder = tmp_path_factory.mktemp("stranger")
    source, wheels, venv = folder / "acme", folder / "wheels", folder / "venv"
    package = "src/parcelhook_acme"
    write(source, "pyproject.toml", f"{package}/carrier.toml", f"{package}/__init__.py")
    for each in (ROOT, source):
        if UV:
            must(UV, "build", "--quiet", "--wheel", "--out-dir", wheels, each)
        else:
            must(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, each)
    must(sys.executable, "-m", "venv", "--without-pip", venv)
    install(venv, sorted(wheels.glob("*.whl")))
    return Place(venv, folder)


def install(venv: Path, wheels: list[Path]) -> None:
    """Install wheels with what they need; without a registry, borrow what they need from this environment."""
    python = venv / "bin" / "python"
    pip: list[str | Path] = (
        [UV, "pip", "install", "--quiet", "--python", python]
        if UV
        else [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    )
    if run(*pip, *wheels).returncode:
        must(*pip, "--no-deps", *wheels)
        (site,) = venv.glob("lib/python*/site-packages")
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool outside the source tree."""
    return subprocess.run(
        command, cwd=Path(sys.prefix), env=clean_environment(), capture_output=True, text=True, check=False
    )


def must(*command: str | Path) -> None:
    """Run a tool that has to succeed."""
    ran = run(*command)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def acme() -> Iterator[CarrierServer]:
    """Serve the stranger's own API, which knows one parcel."""
    with carrier_server() as server:
        server.reply(f"/parcels/{NUMBER}", Reply(body=f'{{"tracking_page": "{PAGE}"}}'.encode()))
        yield server


@pytest.fixture
def store() -> Iterator[Running]:
    """Run a store with one order."""
    with running(SandboxSettings(orders=1)) as sandbox:
        yield sandbox


def test_package_is_listed_beside_the_built_in_ones(place: Place) -> None:
    """Its entry point alone makes it a plug-in, with the name and version of its distribution."""
    rows = {row["name"]: row for row in place.run("plugins", "list")}
    acme = rows.pop("acme")

    assert (acme["distribution"], acme["version"], acme["state"]) == ("parcelhook-acme", "1.0", "active")
    assert acme["carriers"] == ["acme"]
    assert acme["hooks"] == ["parcelhook_carriers", "parcelhook_resolve_tracking_url"]
    assert {(row["distribution"], row["version"], row["state"]) for row in rows.values()} == {
        ("parcelhook", __version__, "active")
    }


def test_link_is_the_one_its_hook_gives(place: Place, acme: CarrierServer) -> None:
    """The installed command asks the stranger's hook, and the hook its own API."""
    assert place.run("link", "acme", NUMBER, PARCELHOOK_CARRIERS__ACME__HOST=acme.url) == {
        "carrier": "acme",
        "number": NUMBER,
        "url": PAGE,
        "shipping_provider": "Acme Couriers",
        "predefined": False,
    }


def test_order_is_fulfilled_with_it_once(place: Place, acme: CarrierServer, store: Running) -> None:
    """Wix gets the carrier's name and the hook's link; the same command again finds the fulfillment."""
    (order_id,) = store.sandbox.store.orders
    command = ("fulfill", order_id, "--carrier", "acme", "--number", NUMBER)
    variables = {
        "PARCELHOOK_CARRIERS__ACME__HOST": acme.url,
        "PARCELHOOK_WIX_URL": store.url,
        "PARCELHOOK_WIX_APP_ID": str(store.ready["app_id"]),
        "PARCELHOOK_WIX_APP_SECRET": str(store.ready["app_secret"]),
        "PARCELHOOK_WIX_INSTANCE_ID": str(store.ready["instance_id"]),
    }
    created, again = (place.run(*command, **variables) for _ in range(2))

    (fulfillment,) = httpx.get(f"{store.url}/_sandbox/fulfillments").json()[order_id]
    assert fulfillment["trackingInfo"] == {
        "trackingNumber": NUMBER,
        "shippingProvider": "Acme Couriers",
        "trackingLink": PAGE,
    }
    assert created["order_id"] == order_id
    assert (created["state"], created["fulfillment_id"]) == ("CREATED", fulfillment["id"])
    assert (created["shipping_provider"], created["tracking_number"]) == ("Acme Couriers", NUMBER)
    assert created["tracking_url"] == PAGE
    assert (created["already_existed"], again["already_existed"]) == (False, True)
    assert again["fulfillment_id"] == created["fulfillment_id"]
