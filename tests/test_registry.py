"""Plug-ins are found, loaded one by one and indexed; what one does wrong is told and harms no other."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from parcelhook import Carrier, Shipment, hookimpl
from parcelhook.boundary import Limits
from parcelhook.errors import UnknownCarrier
from parcelhook.plugins import PluginRow, PluginState
from parcelhook.registry import Registry
from plugin_shelf import Shelf, plain, shelf

LIMITS = Limits(load=5.0, call=5.0, blocked=2.0)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Shelf]:
    """Give an empty shelf to install plug-ins on."""
    with shelf(tmp_path) as made:
        yield made


def registry(installed: Shelf, **options: object) -> Registry:
    """Give a registry of what is on the shelf."""
    return Registry(**{"entry_points": installed.entry_points(), "limits": LIMITS, **options})  # type: ignore[arg-type]


def row(found: Registry, name: str) -> PluginRow:
    """Give the line of one plug-in."""
    return next(each for each in found.plugins() if each.name == name)


def link(found: Registry, carrier: str) -> str | None:
    """Ask for a link."""
    return found.resolve_tracking_url(Shipment(carrier=carrier, tracking_number="N1"))


def test_plug_ins_are_found_by_their_entry_point(installed: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution on ``sys.path`` is found without being named, and described with what it gives."""
    package = installed.install("acme-couriers", plain("acme"), names="acme", version="2.3")
    with Registry(limits=LIMITS) as found:
        assert found.carrier("acme").name == "acme"
        assert link(found, "acme") == f"https://acme.example/N1?by={package}"
        line = row(found, "acme")

    assert (line.distribution, line.version, line.carriers) == ("acme-couriers", "2.3", ("acme",))
    assert line.hooks == ("parcelhook_carriers", "parcelhook_resolve_tracking_url")
    assert (line.state, line.reason) == (PluginState.ACTIVE, "")
    assert line.load_seconds > 0


def test_a_command_about_one_carrier_imports_one_plug_in(installed: Shelf) -> None:
    """Only a miss imports the rest."""
    packages = {name: installed.install(f"dist-{name}", plain(name), names=name) for name in ("one", "two", "three")}
    with registry(installed) as found:
        found.carrier("two")
        assert [name for name, package in packages.items() if package in sys.modules] == ["two"]

        with pytest.raises(UnknownCarrier):
            found.carrier("four")
        assert set(packages.values()) <= set(sys.modules)


def test_a_built_in_carrier_imports_no_stranger(installed: Shelf) -> None:
    """A carrier that a built-in serves under another's name is found before any stranger is imported."""
    stranger = installed.install("strange", plain("strange"), names="strange")
    installed.install("parcelhook", plain("old-dominion"), names="catalog")

    with registry(installed) as found:
        assert found.carrier("old-dominion").id == "old-dominion"
    assert stranger not in sys.modules


def test_two_names_of_one_module_are_one_plug_in(installed: Shelf) -> None:
    """Entry points that lead to the same module are not in conflict with each other."""
    installed.install("acme", plain("acme"), names={"acme": "", "acme-express": ""})

    with registry(installed) as found:
        assert [(each.name, each.state) for each in found.plugins()] == [("acme", "active")]


def test_a_package_of_data_needs_no_code(installed: Shelf) -> None:
    """A package with ``carrier.toml``, or many in ``carriers.toml``, is a whole plug-in."""
    installed.install("solo", names="solo", files={"carrier.toml": 'id = "solo"\nname = "Solo"\n'})
    many = '[[carrier]]\nid = "a"\nname = "A"\n[[carrier]]\nid = "b"\nname = "B"\n'
    installed.install("duo", names="a", files={"carriers.toml": many})

    with registry(installed) as found:
        assert [carrier.id for carrier in found.carriers()] == ["a", "b", "solo"]
        assert found.hook_names("b") == frozenset()
        assert link(found, "b") is None


def test_the_operators_folder_is_read(installed: Shelf, tmp_path: Path) -> None:
    """A TOML file in the folder is a carrier, and a mistake in one leaves the others alone."""
    folder = tmp_path / "carriers"
    folder.mkdir()
    (folder / "local.toml").write_text('id = "local"\nname = "Local"\n', encoding="utf-8")
    (folder / "wrong.toml").write_text('id = "wrong"\nname = "W"\nlink = "http://x"\n', encoding="utf-8")

    with registry(installed, carriers_folder=folder) as found:
        assert found.carrier("local").name == "Local"
        wrong = row(found, "carriers/wrong.toml")
    assert wrong.state == "failed"
    assert wrong.reason.startswith(f"{folder / 'wrong.toml'}:3: link: must begin with https://")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("FedEx", "fedex"),
        ("canadapost", "canada-post"),
        ("canadaPost", "canada-post"),
        ("canada_post", "canada-post"),
        ("Canada Post", "canada-post"),
        ("postes canada", None),
        ("canada-pots", "canada-post"),
        ("\uff46\uff45\uff44\uff45\uff58", "fedex"),  # full-width letters
        ("", None),
    ],
)
def test_an_unknown_carrier_names_the_one_that_is_meant(asked: str, meant: str | None) -> None:
    """However a carrier is spelt, the error says which id was meant, if any."""
    carriers = [
        Carrier(id="fedex", name="FedEx", wix_provider="fedex"),
        Carrier(id="canada-post", name="Canada Post", wix_provider="canadaPost"),
    ]

    some = Registry(entry_points=[], extra={"some": _giving(*carriers)})
    with some, pytest.raises(UnknownCarrier, match="no plug-in serves") as caught:
        some.carrier(asked)
    assert caught.value.what_to_do == (f'Did you mean "{meant}"?' if meant else "")


def test_an_unknown_carrier_names_the_plug_in_that_failed(installed: Shelf) -> None:
    """Where a broken plug-in would have served the carrier, its reason is the answer."""
    installed.install("acme-couriers", "import no_such_module_at_all", names="acme")

    with registry(installed) as found, pytest.raises(UnknownCarrier) as caught:
        found.carrier("acme")
    assert "acme (acme-couriers 1.0) would, but is failed: its import raised ModuleNotFoundError" in str(caught.value)


def _giving(*carriers: object) -> object:
    class Plugin:
        @hookimpl
        def parcelhook_carriers(self) -> list[object]:
            return list(carriers)

    return Plugin()


HEAD = "from parcelhook import *\nfrom parcelhook import hookimpl as _hook\n"
CARRIERS = '@hookimpl\ndef parcelhook_carriers():\n    return [Carrier(id="bad", name="Bad")]\n'
BROKEN = {
    "misspelt hook": (
        CARRIERS + "@hookimpl\nasync def parcelhook_resolve_traking_url(shipment): ...",
        "failed",
        "is no hook; did you mean parcelhook_resolve_tracking_url?",
    ),
    "no hook at all": ("@hookimpl\ndef zzz(): ...", "failed", "zzz ("),
    "unmarked": (CARRIERS + "def parcelhook_parse(answer): ...", "failed", "is not marked @hookimpl"),
    "keyword-only": (
        CARRIERS + "@hookimpl\nasync def parcelhook_track(queries, *, context): ...",
        "failed",
        "takes context as keyword-only, which pluggy drops",
    ),
    "positional-only": (CARRIERS + "@hookimpl\ndef parcelhook_parse(answer, /): ...", "failed", "bound by name"),
    "star": (CARRIERS + "@hookimpl\ndef parcelhook_parse(*answer): ...", "failed", "takes *answer, which is never"),
    "unknown argument": (
        CARRIERS + "@hookimpl\nasync def parcelhook_track(queries, client=None): ...",
        "failed",
        "takes client, which parcelhook_track does not offer (it offers: queries, context)",
    ),
    "sync for async": (
        CARRIERS + "@hookimpl\ndef parcelhook_track(queries): ...",
        "failed",
        "must be async def",
    ),
    "async for sync": (
        CARRIERS + "@hookimpl\nasync def parcelhook_parse(answer): ...",
        "failed",
        "must be a plain def, not async",
    ),
    "generator": (CARRIERS + "@hookimpl\ndef parcelhook_parse(answer): yield", "failed", "is a generator"),
    "wrapper": (
        CARRIERS + "@hookimpl(wrapper=True)\ndef parcelhook_parse(answer): yield",
        "failed",
        "asks for wrapper",
    ),
    "hookwrapper": (CARRIERS + "@hookimpl(hookwrapper=True)\ndef parcelhook_parse(): yield", "failed", "hookwrapper"),
    "tryfirst": (CARRIERS + "@hookimpl(tryfirst=True)\ndef parcelhook_parse(): ...", "failed", "asks for tryfirst"),
    "trylast": (CARRIERS + "@hookimpl(trylast=True)\ndef parcelhook_parse(): ...", "failed", "asks for trylast"),
    "twice": (
        CARRIERS + "@hookimpl\ndef parcelhook_parse(): ...\n"
        "@hookimpl(specname='parcelhook_parse')\ndef parse_again(): ...",
        "failed",
        "implements parcelhook_parse a second time, after parcelhook_parse",
    ),
    "nothing": ("x = 1", "failed", "implements no hook and holds no carrier.toml"),
    "no carriers": ("@hookimpl\ndef parcelhook_carriers(): return ['bad']", "failed", "gives str where a list of Car"),
    "none": ("@hookimpl\ndef parcelhook_carriers(): return None", "failed", "gives NoneType where a list of Carrier"),
    "one twice": (
        CARRIERS.replace("]\n", ", Carrier(id='bad', name='Again')]\n"),
        "failed",
        'gives the carrier "bad" twice',
    ),
    "unchecked carrier": (
        "@hookimpl\ndef parcelhook_carriers():\n    return [Carrier.model_construct(id='Bad!', name='Bad')]",
        "failed",
        "Carrier is wrong: id: ",
    ),
    "capability": (
        CARRIERS.replace('"Bad"', '"Bad", capabilities={Capability.TRACK}'),
        "failed",
        'bad claims the capability "track" without implementing parcelhook_track',
    ),
    "api of Python": (CARRIERS.replace('"Bad"', '"Bad", api=2'), "incompatible", "bad is written for API version 2"),
    "raises": ("raise ValueError('no such luck')", "failed", "its import raised ValueError: no such luck"),
    "syntax": ("def", "failed", "its import raised SyntaxError"),
    "exit": ("import sys\nsys.exit(0)", "failed", "its import called sys.exit"),
    "interrupt": ("raise KeyboardInterrupt", "failed", "its import raised KeyboardInterrupt"),
    "raises later": ("@hookimpl\ndef parcelhook_carriers(): return 1 / 0", "failed", "raised ZeroDivisionError"),
}


@pytest.mark.parametrize(("source", "state", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plug_in_is_told_and_harms_no_other(installed: Shelf, source: str, state: str, reason: str) -> None:
    """Whatever is wrong with a plug-in, its row says what, and the others are served."""
    installed.install("bad-dist", HEAD + source, names="bad")
    installed.install("good-dist", plain("good"), names="good")

    with registry(installed) as found:
        assert [carrier.id for carrier in found.carriers()] == ["good"]
        line = row(found, "bad")
        assert (line.state, row(found, "good").state) == (state, "active")
        assert "N1" in (link(found, "good") or "")
    assert reason in line.reason


def test_a_definition_for_another_api_is_incompatible(installed: Shelf) -> None:
    """The version in ``carrier.toml`` is told with its line, before any other complaint."""
    installed.install("new", names="new", files={"carrier.toml": 'id = "new"\napi = 9\nwarp = 1\n'})

    with registry(installed) as found:
        line = row(found, "new")
    assert line.state == "incompatible"
    assert "carrier.toml:2: is written for API version 9; this parcelhook understands 1" in line.reason


def test_a_contradictory_table_names_its_line(installed: Shelf) -> None:
    """Two statuses for one code make the plug-in fail, with file and line."""
    text = 'id = "bad"\nname = "Bad"\n[statuses]\n"ok" = "delivered"\n"OK" = "exception"\n'
    installed.install("bad-dist", names="bad", files={"carrier.toml": text})

    with registry(installed) as found:
        assert (
            'carrier.toml:5: statuses.OK: gives the code "OK" two meanings (also as "ok")' in row(found, "bad").reason
        )


def test_an_import_that_hangs_is_left_behind(installed: Shelf) -> None:
    """An import that does not end fails its plug-in only."""
    installed.install("bad-dist", "import time\ntime.sleep(3600)", names="bad")
    installed.install("good-dist", plain("good"), names="good")

    with registry(installed, limits=Limits(load=0.3)) as found:
        assert [carrier.id for carrier in found.carriers()] == ["good"]
        assert row(found, "bad").reason == "its import did not end within 0.3 s"


def test_a_built_in_wins_an_id(installed: Shelf) -> None:
    """A stranger that gives a built-in's carrier is in conflict, whichever is asked first, even by its own name."""
    ours = installed.install("parcelhook", plain("fedex"), names="catalog")
    installed.install("a-stranger", plain("fedex"), names="fedex")

    with registry(installed) as found:
        assert link(found, "fedex") == f"https://fedex.example/N1?by={ours}"
        line = row(found, "fedex")
    assert (line.state, line.carriers) == ("in conflict", ())
    assert '"fedex" is served by catalog (parcelhook 1.0)' in line.reason


def test_two_strangers_over_one_id_are_both_told(installed: Shelf) -> None:
    """The first by distribution's name serves the carrier; both rows name the other with its distribution."""
    first = installed.install("a-dist", plain("acme"), names="acme", version="1.1")
    installed.install("b-dist", plain("acme"), names="acme", version="2.2")

    with registry(installed) as found:
        assert link(found, "acme") == f"https://acme.example/N1?by={first}"
        winner, loser = found.plugins()
    assert (winner.state, winner.reason) == ("active", '"acme" is also given by acme (b-dist 2.2); this one is used')
    assert (loser.state, loser.carriers) == ("in conflict", ())
    assert '"acme" is served by acme (a-dist 1.1)' in loser.reason


@pytest.mark.parametrize("order", list(itertools.permutations(["acme", "beta", "all"])))
def test_who_owns_a_carrier_does_not_depend_on_what_was_asked_first(installed: Shelf, order: tuple[str, ...]) -> None:
    """A plug-in loaded for one carrier does not take another from the plug-in that is named like it."""
    two = plain("acme").replace("[carrier]", '[carrier, Carrier(id="beta", name="not mine")]')
    installed.install("a-dist", two, names="acme")
    installed.install("z-dist", plain("beta"), names="beta")

    with registry(installed) as found:
        for asked in order:
            found.carriers() if asked == "all" else found.carrier(asked)
        assert (found.carrier("acme").name, found.carrier("beta").name) == ("acme", "beta")
        assert (row(found, "acme").state, row(found, "acme").carriers) == ("in conflict", ("acme",))


def test_the_operator_chooses_an_owner(installed: Shelf) -> None:
    """Only the configuration puts a stranger before a built-in, by the plug-in's or the distribution's name."""
    installed.install("parcelhook", plain("fedex"), names="fedex")
    other = installed.install("their-fedex", plain("fedex"), names="fedex")

    with registry(installed, owners={"fedex": "their-fedex"}) as found:
        assert link(found, "fedex") == f"https://fedex.example/N1?by={other}"
        assert {each.state for each in found.plugins()} == {PluginState.ACTIVE}


def test_a_chosen_owner_that_does_not_serve_is_told(installed: Shelf) -> None:
    """A choice that leads nowhere is an error, not a fallback to whom the operator did not choose."""
    installed.install("parcelhook", plain("fedex"), names="fedex")

    with registry(installed, owners={"fedex": "theirs"}) as found:
        with pytest.raises(UnknownCarrier, match='to be served by "theirs", which does not give it'):
            found.carrier("fedex")
        assert found.carriers() == ()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"plugins_enabled": False}, "plug-ins are switched off"),
        ({"allow": frozenset({"other"})}, "it is not on the operator's list of allowed plug-ins"),
    ],
)
def test_a_disabled_plug_in_is_never_imported(installed: Shelf, options: Mapping[str, object], reason: str) -> None:
    """What the operator did not allow is listed, not run; built-ins always are."""
    stranger = installed.install("strange", plain("strange"), names="strange")
    installed.install("parcelhook", plain("fedex"), names="fedex")

    with registry(installed, **options) as found:
        assert [carrier.id for carrier in found.carriers()] == ["fedex"]
        assert (row(found, "strange").state, row(found, "strange").reason) == ("disabled", reason)
        with pytest.raises(UnknownCarrier, match=f"strange 1.0. would, but is disabled: {reason}"):
            found.carrier("strange")
    assert stranger not in sys.modules


def test_an_allowed_plug_in_is_served(installed: Shelf) -> None:
    """The list of allowed plug-ins takes the distribution's name or the plug-in's."""
    installed.install("one-dist", plain("one"), names="one")
    installed.install("two-dist", plain("two"), names="two")

    with registry(installed, allow=frozenset({"one-dist", "two"})) as found:
        assert [carrier.id for carrier in found.carriers()] == ["one", "two"]


def test_a_program_brings_its_own_plug_ins() -> None:
    """Modules and objects registered explicitly need no entry point."""
    module = ModuleType("brought")
    exec(compile(plain("brought"), "brought", "exec"), module.__dict__)  # noqa: S102 - our own source

    with Registry(entry_points=[], extra={"brought": module, "other": _giving(Carrier(id="o", name="O"))}) as found:
        assert [carrier.id for carrier in found.carriers()] == ["brought", "o"]
        assert link(found, "brought") == "https://brought.example/N1?by=brought"
