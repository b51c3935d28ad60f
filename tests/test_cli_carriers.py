"""``carriers`` and ``plugins``: what is served, by whom, and how each plug-in fares."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_runs import NUMBER, SECRET, Shell, open_shell
from plugin_shelf import Shelf, shelf

ACCOUNT = """
from pydantic import BaseModel, Field, SecretStr
from parcelhook import Carrier, hookimpl


class Account(BaseModel):
    key: SecretStr = Field(description="from the carrier's portal")
    depot: int = 1


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    return [Carrier(id="zeta", name="Zeta", settings=Account)]
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell with the built-in carriers and Acme."""
    return open_shell(tmp_path, monkeypatch, PARCELHOOK_CARRIERS__ZETA__KEY=SECRET)


def test_carriers_are_listed_by_id(shell: Shell) -> None:
    """Every carrier is listed, the operator's own among them, in order."""
    answer = shell.json("carriers")

    ids = [each["id"] for each in answer]
    assert ids == sorted(ids)
    assert {"acme", "fedex", "ups", "usps", "dhl", "canada-post"} <= set(ids)
    assert answer == shell.json("carriers", "list")
    assert next(each for each in answer if each["id"] == "acme") == {
        "id": "acme",
        "name": "Acme Couriers",
        "countries": ["IL"],
        "wix_provider": None,
        "capabilities": [],
        "link": "https://track.acme.example/parcel/{number}?zip={postal_code}",
        "services": ["Acme Express"],
        "status_codes": 3,
    }


def test_people_get_a_table_of_carriers(shell: Shell) -> None:
    """Without --json there is a line for each carrier."""
    lines = shell.run("carriers").stdout.splitlines()

    assert any(line.split()[:3] == ["acme", "Acme", "Couriers"] for line in lines)


def test_a_carrier_is_shown_whole(shell: Shell) -> None:
    """All its data is shown: formats, link and status codes."""
    known = shell.json("carriers", "show", "acme")
    shown = shell.run("carriers", "show", "acme").stdout

    assert known["numbers"][0]["service"] == "Acme Express"
    assert known["statuses"]["31"] == {"status": "exception", "reason": "address", "info": False, "ask": False}
    for piece in ("Acme Couriers", "(?P<prefix>AC)", "exception (address)", "info"):
        assert piece in shown


def test_a_number_is_tried_on_a_carrier(shell: Shell) -> None:
    """--number tells whether it has the carrier's shape, and where its link leads."""
    fits = shell.json("carriers", "show", "acme", "--number", NUMBER)["number"]
    other = shell.json("carriers", "show", "acme", "--number", "12")["number"]

    assert fits == {
        "given": NUMBER,
        "matches": True,
        "services": ["Acme Express"],
        "url": "https://track.acme.example/",
    }
    assert (other["matches"], other["services"]) == (False, [])


def test_an_unknown_carrier_is_answered_with_the_nearest(shell: Shell) -> None:
    """A wrong id is an error that names a right one."""
    error = shell.json("carriers", "show", "canadapost", code=2)["error"]

    assert error["what_to_do"] == 'Did you mean "canada-post"?'


@pytest.fixture
def plugins(tmp_path: Path) -> Shelf:
    """Give a place to install plug-ins of others."""
    folder = tmp_path / "others"
    folder.mkdir()
    return Shelf(folder)


def test_a_carriers_settings_are_named_without_their_values(shell: Shell, plugins: Shelf) -> None:
    """Which settings a carrier takes and which are configured is told; what they are is not."""
    with shelf(plugins.folder):
        plugins.install("zeta-parcelhook", ACCOUNT, names="zeta")
        shown = shell.run("carriers", "show", "zeta", "--json").output + shell.run("carriers", "show", "zeta").output
        settings = shell.json("carriers", "show", "zeta")["settings"]

    assert settings == [
        {"name": "key", "required": True, "configured": True, "description": "from the carrier's portal"},
        {"name": "depot", "required": False, "configured": False, "description": ""},
    ]
    assert SECRET not in shown


def test_plug_ins_are_listed_with_their_states(shell: Shell, plugins: Shelf) -> None:
    """A plug-in that cannot be imported is listed with the reason, beside those that work."""
    with shelf(plugins.folder):
        plugins.install("broken-parcelhook", "raise ImportError('no such thing')", names="broken", version="2.1")
        rows = {row["name"]: row for row in shell.json("plugins", "list")}
        shown = shell.run("plugins", "list")

    assert rows["fedex"]["state"] == "active"
    assert rows["fedex"]["distribution"] == "parcelhook"
    assert rows["carriers/acme.toml"]["carriers"] == ["acme"]
    broken = rows["broken"]
    assert (broken["state"], broken["distribution"], broken["version"]) == ("failed", "broken-parcelhook", "2.1")
    assert "no such thing" in broken["reason"]
    assert set(broken) == {"name", "distribution", "version", "carriers", "hooks", "state", "reason", "seconds"}
    assert shown.exit_code == 0
    assert "no such thing" in shown.stdout


def test_the_configuration_allows_plug_ins(shell: Shell, plugins: Shelf) -> None:
    """A plug-in that is not on the list is not imported."""
    shell.write("parcelhook.toml", '[plugins]\nallow = ["other"]\n')
    with shelf(plugins.folder):
        plugins.install("broken-parcelhook", "raise ImportError('no such thing')", names="broken")

        rows = {row["name"]: row for row in shell.json("plugins", "list")}

    assert rows["broken"]["state"] == "disabled"
    assert rows["ups"]["state"] == "active"
