"""Answer ``parcelhook doctor``: whether everything works together, and what helps if not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_table
from parcelhook.errors import ConfigurationError, ParcelhookError

if TYPE_CHECKING:
    from parcelhook.carrier import Carrier
    from parcelhook.cli.installation import Installation
    from parcelhook.settings import Settings

SKEW_SECONDS: Final = 60
"""How far this machine's clock may be from Wix's; webhooks and tokens carry times."""

HOST: Final = "host"
"""A setting every carrier takes: the host it is reached at in place of its own."""


@dataclass(frozen=True)
class Finding:
    """What one check found; ``ok`` None says that it could not be told, or is worth a look and no fault."""

    check: str
    ok: bool | None
    detail: str
    what_to_do: str = ""
    exit_code: int = 0


@click.command(cls=Command)
@pass_invocation
def doctor(invocation: Invocation) -> int:
    """Check the installation, store by store.

    Settings, ledger, carriers, plug-ins, and for each store (or the one named with --store) its credentials and public
    key. The exit code is that of the first check that failed.
    """
    findings = list(_findings(invocation))
    if invocation.as_json:
        write_json([{name: value for name, value in asdict(each).items() if name != "exit_code"} for each in findings])
    else:
        write_table(
            ("Check", "OK", "Detail", "What to do"),
            [(each.check, each.ok, each.detail, each.what_to_do) for each in findings],
        )
    return next((each.exit_code for each in findings if each.ok is False), 0)


def _findings(invocation: Invocation) -> Iterator[Finding]:
    try:
        settings = invocation.settings()
        names = settings.store_names(invocation.store)
    except ParcelhookError as error:
        yield _failed("settings", error)
        return
    rules = [*settings.rules, *(rule for store in settings.stores.values() for rule in store.rules)]
    yield Finding("settings", ok=True, detail=f"{_counted(settings.stores, 'store')}, {_counted(rules, 'rule')}")
    with invocation.installation() as installation:
        yield _checked("ledger", partial(_ledger, installation))
        yield _checked("carriers folder", partial(_carriers_folder, settings))
        yield from _plugins(installation)
        for finding in _carriers(installation):
            # A carrier that is not served is a mistake in the configuration here, and not in what was typed.
            yield replace(finding, exit_code=6) if finding.ok is False else finding
        if not names:
            yield _checked("stores", settings.store_name)
        for name in names:
            yield _checked(f"store {name}: access", partial(_access, installation, name))
            yield _checked(f"store {name}: webhooks", partial(_webhooks, installation, name))
            yield _clock(installation, name)


def _checked(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, ok=True, detail=look())
    except ParcelhookError as error:
        return _failed(check, error)


def _failed(check: str, error: ParcelhookError) -> Finding:
    return Finding(check, ok=False, detail=error.message, what_to_do=error.what_to_do, exit_code=error.exit_code)


def _ledger(installation: Installation) -> str:
    return installation.ledger.check()


def _carriers_folder(settings: Settings) -> str:
    folder = settings.carriers_folder
    if folder.is_dir():
        return f"{folder}: {_counted(list(folder.glob('*.toml')), 'file')}"
    if folder.exists() or "carriers_folder" in settings.model_fields_set:
        msg = f"{folder} is no folder"
        raise ConfigurationError(msg, where="carriers_folder", what_to_do="Create it, or correct carriers_folder.")
    return f"{folder}: none"


def _plugins(installation: Installation) -> Iterator[Finding]:
    for row in installation.registry.plugins():
        ok = row.state in {"active", "disabled"}
        detail = f"{row.state}: {row.reason}" if row.reason else f"{row.state}, {_counted(row.carriers, 'carrier')}"
        hint = "" if ok else f"See to the plug-in ({row.distribution or row.name}), or leave it out of [plugins] allow."
        yield Finding(f"plug-in {row.name}", ok=ok, detail=detail, what_to_do=hint, exit_code=0 if ok else 6)


def _carriers(installation: Installation) -> Iterator[Finding]:
    """Check that what is configured about carriers is about one that is served, and fits it."""
    settings = installation.settings
    for carrier in sorted(settings.carriers):
        yield _account(installation, f"carrier {carrier}", carrier)
    for name, store in sorted(settings.stores.items()):
        for carrier in sorted(store.carriers):
            yield _account(installation, f"carrier {carrier} of store {name}", carrier, store=name)
    for number, rule in enumerate(settings.rules, start=1):
        yield _checked(f"rule {number}", partial(_served, installation, rule.carrier))
    for name, store in sorted(settings.stores.items()):
        for number, rule in enumerate(store.rules, start=1):
            yield _checked(f"rule {number} of store {name}", partial(_served, installation, rule.carrier))


def _served(installation: Installation, carrier: str) -> str:
    return f"names {installation.registry.carrier(carrier).name}"


def _account(installation: Installation, check: str, carrier: str, *, store: str | None = None) -> Finding:
    """Check an account; a key that nobody reads is told, for a typing mistake in one would be a silent default."""
    from parcelhook.contexts import ContextFactory

    given = installation.settings.carrier(carrier, store=store)
    try:
        served = installation.registry.carrier(carrier)
        ContextFactory({carrier: given}).settings(served)
    except ParcelhookError as error:
        return _failed(check, error)
    known = [HOST, *_fields(served)]
    unknown = [] if _takes_all(served) else sorted(set(given) - set(known))
    if not unknown:
        return Finding(check, ok=True, detail=f"{_counted(given, 'setting')} for {served.name}")
    detail = f"nothing of {served.name} reads {', '.join(unknown)}"
    hint = f"Correct or remove it; known here are: {', '.join(known)}."
    return Finding(check, ok=None if served.settings is None else False, detail=detail, what_to_do=hint)


def _takes_all(carrier: Carrier) -> bool:
    return carrier.settings is not None and carrier.settings.model_config.get("extra") == "allow"


def _fields(carrier: Carrier) -> list[str]:
    fields = carrier.settings.model_fields if carrier.settings is not None else {}
    return [field.alias or name for name, field in fields.items()]


def _access(installation: Installation, name: str) -> str:
    """Make the cheapest call that needs a working credential and the right to read orders."""
    found = next(installation.wix(name).search_orders(limit=1), None)
    store = installation.settings.stores[name]
    kind = "API key" if store.uses_api_key else "app"
    return f"{store.wix_url} answers to this {kind}; {'it has' if found else 'no'} orders"


def _webhooks(installation: Installation, name: str) -> str:
    if installation.settings.stores[name].uses_api_key:
        return "an API key gets none; the store is polled"
    installation.verifier(name)
    return "the public key is valid"


def _clock(installation: Installation, name: str) -> Finding:
    """Compare this machine's clock with the one that the store's server shows."""
    check = f"store {name}: clock"
    url = installation.settings.stores[name].wix_url
    shown = _time_at(url)
    if isinstance(shown, str):
        return Finding(check, ok=None, detail=f"not compared: {url} {shown}")
    off = (installation.clock() - shown).total_seconds()
    if abs(off) > SKEW_SECONDS:
        late = f"this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} Wix's"
        return Finding(check, ok=False, detail=late, what_to_do="Set the clock, best by NTP.", exit_code=6)
    return Finding(check, ok=True, detail=f"within {SKEW_SECONDS} s of Wix's")


def _time_at(url: str) -> datetime | str:
    """Give the time that a server shows, or why it shows none."""
    from email.utils import parsedate_to_datetime

    import httpx

    try:
        shown = httpx.head(url, timeout=5, trust_env=False).headers.get("date", "")
    except httpx.HTTPError as error:
        return f"cannot be reached: {error}"
    try:
        return parsedate_to_datetime(shown).astimezone(UTC)
    except ValueError:
        return "shows no time"


def _counted(things: Sized, name: str) -> str:
    """Give a number and the name of what is counted, in the plural where it must be."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
