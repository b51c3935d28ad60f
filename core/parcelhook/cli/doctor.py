"""Answer ``parcelhook doctor``: whether everything works together, and what helps if not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_table
from parcelhook.errors import ConfigurationError, ParcelhookError

if TYPE_CHECKING:
    from parcelhook.cli.installation import Installation
    from parcelhook.settings import Settings

SKEW_SECONDS: Final = 60
"""How far this machine's clock may be from Wix's; webhooks and tokens carry times."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    ok: bool
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
    return next((each.exit_code for each in findings if not each.ok), 0)


def _findings(invocation: Invocation) -> Iterator[Finding]:
    try:
        settings = invocation.settings()
        names = settings.store_names(invocation.store)
    except ParcelhookError as error:
        yield _failed("settings", error)
        return
    rules = len(settings.rules) + sum(len(store.rules) for store in settings.stores.values())
    yield Finding("settings", ok=True, detail=f"{len(settings.stores)} stores, {rules} rules")
    with invocation.installation() as installation:
        yield _checked("ledger", partial(_ledger, installation))
        yield _checked("carriers folder", partial(_carriers_folder, settings))
        yield from _plugins(installation)
        yield from _carriers(installation)
        if not names:
            yield _checked("stores", settings.store_name)
        for name in names:
            yield _checked(f"store {name}: access", partial(_access, installation, name))
            yield _checked(f"store {name}: webhooks", partial(_webhooks, installation, name))
            yield _checked(f"store {name}: clock", partial(_clock, installation, name))


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
        return f"{folder}: {len(list(folder.glob('*.toml')))} files"
    if folder.exists() or "carriers_folder" in settings.model_fields_set:
        msg = f"{folder} is no folder"
        raise ConfigurationError(msg, where="carriers_folder", what_to_do="Create it, or correct carriers_folder.")
    return f"{folder}: none"


def _plugins(installation: Installation) -> Iterator[Finding]:
    for row in installation.registry.plugins():
        ok = row.state in {"active", "disabled"}
        detail = f"{row.state}: {row.reason}" if row.reason else f"{row.state}, {len(row.carriers)} carriers"
        hint = "" if ok else f"See to the plug-in ({row.distribution or row.name}), or leave it out of [plugins] allow."
        yield Finding(f"plug-in {row.name}", ok=ok, detail=detail, what_to_do=hint, exit_code=0 if ok else 6)


def _carriers(installation: Installation) -> Iterator[Finding]:
    """Check that what is configured about carriers is about one that is served, and fits it."""
    settings = installation.settings
    for carrier in sorted(settings.carriers):
        yield _checked(f"carrier {carrier}", partial(_account, installation, carrier, None))
    for name, store in sorted(settings.stores.items()):
        for carrier in sorted(store.carriers):
            yield _checked(f"carrier {carrier} of store {name}", partial(_account, installation, carrier, name))
    for number, rule in enumerate(settings.rules, start=1):
        yield _checked(f"rule {number}", partial(_served, installation, rule.carrier))
    for name, store in sorted(settings.stores.items()):
        for number, rule in enumerate(store.rules, start=1):
            yield _checked(f"rule {number} of store {name}", partial(_served, installation, rule.carrier))


def _served(installation: Installation, carrier: str) -> str:
    return f"names {installation.registry.carrier(carrier).name}"


def _account(installation: Installation, carrier: str, store: str | None) -> str:
    from parcelhook.contexts import ContextFactory

    served = installation.registry.carrier(carrier)
    given = installation.settings.carrier(carrier, store=store)
    ContextFactory({carrier: given}).settings(served)
    return f"{len(given)} settings for {served.name}"


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


def _clock(installation: Installation, name: str) -> str:
    """Compare this machine's clock with the one that the store's server shows."""
    from email.utils import parsedate_to_datetime

    import httpx

    url = installation.settings.stores[name].wix_url
    try:
        shown = parsedate_to_datetime(httpx.head(url, timeout=5, trust_env=False).headers["date"])
    except (httpx.HTTPError, KeyError, ValueError):
        return f"not compared: {url} shows no time"
    off = (installation.clock() - shown).total_seconds()
    if abs(off) > SKEW_SECONDS:
        msg = f"this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} Wix's"
        raise ConfigurationError(msg, where="clock", what_to_do="Set the clock, best by NTP.")
    return f"within {SKEW_SECONDS} s of Wix's"
