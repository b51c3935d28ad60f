"""``link``: the page of a parcel, by plug-in or template."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_runs import NUMBER, Shell, open_shell
from plugin_shelf import Shelf, plain, shelf


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell with the built-in carriers and Acme."""
    return open_shell(tmp_path, monkeypatch)


def test_a_custom_carriers_link(shell: Shell) -> None:
    """The template is filled in, and Wix is to be told the carrier's name as a custom provider."""
    assert shell.json("link", "acme", f" {NUMBER} ", "--postal-code", "61 000") == {
        "carrier": "acme",
        "number": NUMBER,
        "url": f"https://track.acme.example/parcel/{NUMBER}?zip=61000",
        "shipping_provider": "Acme Couriers",
        "predefined": False,
    }


def test_a_predefined_carriers_link(shell: Shell) -> None:
    """A carrier Wix knows itself goes by Wix's spelling."""
    answer = shell.json("link", "canada-post", "7035114477138472")

    assert (answer["shipping_provider"], answer["predefined"]) == ("canadaPost", True)
    assert answer["url"].startswith("https://www.canadapost-postescanada.ca/")


def test_a_missing_postal_code_gives_the_landing_page(shell: Shell) -> None:
    """Where the page wants a postal code and none is given, the carrier's own page is the link."""
    assert shell.run("link", "acme", NUMBER).stdout == "https://track.acme.example/\n"


def test_the_language_of_the_page(shell: Shell) -> None:
    """A locale picks one of the carrier's own."""
    english = shell.json("link", "canada-post", "7035114477138472", "--locale", "en")["url"]
    french = shell.json("link", "canada-post", "7035114477138472", "--locale", "fr-CA")["url"]

    assert english != french


def test_a_number_of_another_shape_is_a_warning(shell: Shell) -> None:
    """The merchant knows better than a format: the link is given, the doubt goes to stderr."""
    result = shell.run("link", "acme", "12345", "--json")

    assert result.exit_code == 0
    assert result.stdout.startswith('{"carrier": "acme"')
    assert result.stderr == "Warning: 12345 does not look like a number of Acme Couriers\n"


@pytest.mark.parametrize(
    ("spelling", "meant"),
    [("FedEx", "fedex"), ("FEDEX", "fedex"), ("canadapost", "canada-post"), ("canadaPost", "canada-post")],
)
def test_another_spelling_of_a_carrier_is_answered_with_its_id(shell: Shell, spelling: str, meant: str) -> None:
    """Display names and Wix's spelling are no ids; the error says which id is meant."""
    result = shell.run("link", spelling, NUMBER)

    assert result.exit_code == 2
    assert f'Did you mean "{meant}"?' in result.stderr


def test_what_is_no_number_is_refused(shell: Shell) -> None:
    """A number that could turn the link elsewhere is no number."""
    error = shell.json("link", "acme", "../../x", code=2)["error"]

    assert (error["type"], error["field"]) == ("InvalidTrackingNumber", "NUMBER")


def test_a_carrier_without_a_page_says_so(shell: Shell) -> None:
    """Where there is neither template nor hook, the error says what Wix needs."""
    shell.write("carriers/mute.toml", 'id = "mute"\nname = "Mute"\n')

    error = shell.json("link", "mute", "1", code=2)["error"]

    assert error["type"] == "InvalidTrackingLink"
    assert "complete link" in error["what_to_do"]


@pytest.fixture
def plugins(tmp_path: Path) -> Shelf:
    """Give a place to install plug-ins of others."""
    folder = tmp_path / "others"
    folder.mkdir()
    return Shelf(folder)


def test_a_plug_ins_own_link_goes_first(shell: Shell, plugins: Shelf) -> None:
    """A plug-in that makes links itself is asked before its template is used."""
    with shelf(plugins.folder):
        plugins.install("zeta-parcelhook", plain("zeta"), names="zeta")

        assert shell.json("link", "zeta", "123")["url"].startswith("https://zeta.example/123?by=shelf_")


def test_without_plug_ins_only_the_built_in_ones_are_used(shell: Shell, plugins: Shelf) -> None:
    """--no-plugins leaves out what others installed, and nothing else."""
    with shelf(plugins.folder):
        plugins.install("zeta-parcelhook", plain("zeta"), names="zeta")

        assert shell.json("link", "zeta", "1", "--no-plugins", code=2)["error"]["type"] == "UnknownCarrier"
        assert shell.json("link", "ups", "1Z999AA10123456784", "--no-plugins")["predefined"] is True


def test_a_plug_in_that_fails_ends_with_its_own_exit_code(shell: Shell, plugins: Shelf) -> None:
    """An error in a link hook never falls back to the template: the carrier is at fault, exit code 5."""
    source = plain("zeta").replace("return f", "raise RuntimeError(shipment.tracking_number)\n    return f")
    with shelf(plugins.folder):
        plugins.install("zeta-parcelhook", source, names="zeta")

        result = shell.run("link", "zeta", "123")

    assert result.exit_code == 5
    assert "zeta" in result.stderr
    assert "Traceback" not in result.stderr
