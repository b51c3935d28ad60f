"""Find plug-ins and load them one by one: what one of them does wrong becomes its own state and reason."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Final

from pydantic import ValidationError

from parcelhook.carrier import API_VERSIONS, Capability, Carrier
from parcelhook.errors import ParcelhookError, PluginError, UnsupportedApi
from parcelhook.implementations import Implementation, implementations
from parcelhook.mistakes import summary
from parcelhook.threads import DeadlineExceeded, run_once

GROUP: Final = "parcelhook"
"""The entry-point group of plug-ins, and the distribution of the built-in ones."""

DATA_FILES: Final = ("carrier.toml", "carriers.toml")
"""The files that make a package without ``parcelhook_carriers`` a plug-in."""

NEEDS: Final[Mapping[Capability, str]] = {
    Capability.LINK: "parcelhook_resolve_tracking_url",
    Capability.TRACK: "parcelhook_track",
    Capability.BOOK: "parcelhook_book",
    Capability.PUSH: "parcelhook_receive",
}


class PluginState(StrEnum):
    """How a plug-in fares; only active ones, and what is not in dispute of those in conflict, are called."""

    FOUND = "found"
    ACTIVE = "active"
    FAILED = "failed"
    INCOMPATIBLE = "incompatible"
    IN_CONFLICT = "in conflict"
    SUSPENDED = "suspended"
    DISABLED = "disabled"


class Origin(IntEnum):
    """Where a plug-in comes from, in the order in which they win a carrier id."""

    EXPLICIT = 0
    BUILT_IN = 1
    FOLDER = 2
    INSTALLED = 3


@dataclass(frozen=True)
class Content:
    """What a plug-in turned out to hold."""

    carriers: tuple[Carrier, ...]
    hooks: Mapping[str, Implementation]


@dataclass(frozen=True)
class PluginRow:
    """One line of ``plugins list``."""

    name: str
    distribution: str
    version: str
    carriers: tuple[str, ...]
    hooks: tuple[str, ...]
    state: PluginState
    reason: str
    load_seconds: float


@dataclass(eq=False)
class Plugin:
    """A plug-in that was found; ``carriers`` are those it serves, once it is loaded and conflicts are settled.

    ``claims`` are the carrier ids it promises by its entry points' names, before anything is imported.
    """

    name: str
    origin: Origin
    read: Callable[[], Content]
    distribution: str = ""
    version: str = ""
    claims: set[str] = field(default_factory=set)
    state: PluginState = PluginState.FOUND
    reason: str = ""
    carriers: dict[str, Carrier] = field(default_factory=dict)
    hooks: Mapping[str, Implementation] = field(default_factory=dict)
    load_seconds: float = 0.0

    def __str__(self) -> str:
        source = " ".join(part for part in (self.distribution, self.version) if part)
        return f"{self.name} ({source})" if source else self.name

    @property
    def usable(self) -> bool:
        """Tell whether its hooks may be called."""
        return self.state in {PluginState.ACTIVE, PluginState.IN_CONFLICT}

    def row(self) -> PluginRow:
        """Give the line that describes this plug-in."""
        return PluginRow(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            carriers=tuple(self.carriers),
            hooks=tuple(self.hooks),
            state=self.state,
            reason=self.reason,
            load_seconds=self.load_seconds,
        )

    def load(self, *, deadline: float) -> tuple[Carrier, ...]:
        """Import and check it, within a deadline and on a thread of its own; give the carriers it claims.

        Whatever goes wrong is kept as state and reason; nothing is raised but the user's own interrupt.
        """
        started = perf_counter()
        try:
            # stdout belongs to the command that runs: what a plug-in prints must not end up in its JSON.
            with redirect_stdout(sys.stderr):
                outcome = run_once(self.read, deadline=deadline, name=f"parcelhook-import-{self.name}")
        except DeadlineExceeded:
            self.state, self.reason = PluginState.FAILED, f"its import did not end within {deadline:g} s"
            return ()
        finally:
            self.load_seconds = perf_counter() - started
        if outcome.value is None:
            self.state, self.reason = _failure(outcome.error)
            return ()
        self.state, self.hooks = PluginState.ACTIVE, outcome.value.hooks
        return outcome.value.carriers


def installed(points: Iterable[EntryPoint] | None = None) -> list[Plugin]:
    """Give a plug-in for each entry point of the group, without importing any; two names of one module are one."""
    found: dict[tuple[str, str], Plugin] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        distribution = point.dist.name if point.dist else ""
        plugin = found.setdefault(
            (distribution, point.value),
            Plugin(
                name=point.name,
                origin=Origin.BUILT_IN if distribution.lower() == GROUP else Origin.INSTALLED,
                read=partial(_imported, point),
                distribution=distribution,
                version=point.dist.version if point.dist else "",
            ),
        )
        plugin.claims.add(point.name)
    return list(found.values())


def in_folder(folder: Path | None) -> list[Plugin]:
    """Give a plug-in for each ``carriers/acme.toml`` and ``carriers/acme/carrier.toml`` of the operator's folder."""
    if folder is None or not folder.is_dir():
        return []
    return [
        Plugin(
            name=f"{folder.name}/{path.relative_to(folder).as_posix()}",
            origin=Origin.FOLDER,
            read=partial(_defined, path),
            claims={path.stem if path.parent == folder else path.parent.name},
        )
        for path in sorted([*folder.glob("*.toml"), *folder.glob("*/carrier.toml")])
    ]


def explicit(objects: Mapping[str, object]) -> list[Plugin]:
    """Give a plug-in for each object or module the program itself brings."""
    return [
        Plugin(name=name, origin=Origin.EXPLICIT, read=partial(content, plugin, name=name), claims={name})
        for name, plugin in objects.items()
    ]


def content(plugin: object, *, name: str) -> Content:
    """Give the hooks and carriers of a plug-in; raise PluginError or InvalidCarrier where one of them is wrong."""
    hooks = implementations(plugin, name=name)
    if giving := hooks.get("parcelhook_carriers"):
        return Content(_checked(giving.function(), hooks), hooks)
    carriers = _from_data(plugin)
    if not hooks and not carriers:
        msg = "implements no hook and holds no carrier.toml"
        raise PluginError(msg, where=name)
    return Content(_checked(carriers, hooks), hooks)


def _imported(point: EntryPoint) -> Content:
    return content(point.load(), name=point.name)


def _defined(path: Path) -> Content:
    return Content(_checked(Carrier.read(path), {}), {})


def _from_data(plugin: object) -> tuple[Carrier, ...]:
    if not isinstance(plugin, ModuleType) or not getattr(plugin, "__path__", None):
        return ()
    for file in DATA_FILES:
        if any((Path(folder) / file).is_file() for folder in plugin.__path__):
            return Carrier.load_all(plugin.__name__, file=file)
    return ()


def _checked(given: object, hooks: Mapping[str, Implementation]) -> tuple[Carrier, ...]:
    if not isinstance(given, Sequence) or not all(isinstance(carrier, Carrier) for carrier in given):
        held = {type(each).__name__ for each in given} if isinstance(given, Sequence) else {type(given).__name__}
        msg = f"parcelhook_carriers gives {', '.join(sorted(held))} where a list of Carrier is due"
        raise PluginError(msg)
    carriers: dict[str, Carrier] = {}
    for each in given:
        # Validated once more, for model_construct and __dict__ get past a model's own checks.
        carrier = Carrier.model_validate({**each.__dict__})
        if carrier.api not in API_VERSIONS:
            raise UnsupportedApi(f"{carrier.id} is written for {_versions(carrier.api)}")
        for capability in sorted(carrier.capabilities):
            if NEEDS[capability] not in hooks:
                msg = f'{carrier.id} claims the capability "{capability}" without implementing {NEEDS[capability]}'
                raise PluginError(msg)
        if carriers.setdefault(carrier.id, carrier) is not carrier:
            msg = f'gives the carrier "{carrier.id}" twice'
            raise PluginError(msg)
    return tuple(carriers.values())


def _versions(api: int) -> str:
    return f"API version {api}; this parcelhook understands {', '.join(map(str, API_VERSIONS))}"


def _failure(error: BaseException | None) -> tuple[PluginState, str]:
    match error:
        case UnsupportedApi():
            return PluginState.INCOMPATIBLE, error.message
        case ParcelhookError():
            return PluginState.FAILED, error.message
        case ValidationError():
            return PluginState.FAILED, f"{error.title} is wrong: {summary(error)}"
        case SystemExit():
            return PluginState.FAILED, "its import called sys.exit"
        case _:
            text = str(error).splitlines()[0][:300] if str(error) else ""
            return PluginState.FAILED, f"its import raised {type(error).__name__}" + (f": {text}" if text else "")
