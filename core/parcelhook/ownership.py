"""Decide which plug-in serves a carrier, importing no more of them than the question needs."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from parcelhook.carrier import Carrier
from parcelhook.errors import UnknownCarrier
from parcelhook.plugins import Origin, Plugin, PluginState

Owned: TypeAlias = tuple[Plugin, Carrier]


class Ownership:
    """Who serves which carrier.

    The answer is the same in whatever order carriers are asked for: a carrier goes to the plug-in the operator chose,
    else to the first by origin, then to one whose entry point has the carrier's name, then by the distribution's name.
    """

    def __init__(self, plugins: Sequence[Plugin], *, chosen: Mapping[str, str], deadline: float) -> None:
        self._plugins = sorted(plugins, key=lambda plugin: (plugin.origin, plugin.distribution, plugin.name))
        self._chosen = chosen
        self._deadline = deadline
        self._lock = threading.RLock()
        self._given: dict[str, list[Owned]] = {}
        self._settled: dict[str, Owned] = {}
        self._complete = False

    def of(self, carrier_id: str) -> Owned:
        """Give a carrier and its owner; raise UnknownCarrier that names the nearest id."""
        owned = self._settled.get(carrier_id)
        if owned is None:
            with self._lock:
                owned = self._found(carrier_id)
        return owned

    def all(self) -> tuple[Owned, ...]:
        """Load every plug-in and give all carriers with their owners, by id."""
        self.loaded()
        return tuple(self._settled[carrier_id] for carrier_id in sorted(self._settled))

    def loaded(self) -> Sequence[Plugin]:
        """Load every plug-in, settle who owns what, and give them in a stable order."""
        if not self._complete:
            with self._lock:
                self._load(self._plugins)
                self._settle()
                self._complete = True
        return self._plugins

    def _found(self, carrier_id: str) -> Owned:
        for step in self._steps(carrier_id):
            self._load(step)
            owned = self._best(carrier_id)
            if owned is not None and owned[0] in step:
                self._settled[carrier_id] = owned
                return owned
        self.loaded()
        raise self._unknown(carrier_id)

    def _steps(self, carrier_id: str) -> Iterator[list[Plugin]]:
        """Give the plug-ins that may serve a carrier, best first; what a step gives wins over all later steps."""
        if carrier_id in self._chosen:
            yield [plugin for plugin in self._plugins if self._is_chosen(plugin, carrier_id)]
            return
        for origin in Origin:
            same = [plugin for plugin in self._plugins if plugin.origin is origin]
            yield [plugin for plugin in same if carrier_id in plugin.claims]
            yield same

    def _load(self, plugins: Sequence[Plugin]) -> None:
        for plugin in plugins:
            if plugin.state is PluginState.FOUND:
                for carrier in plugin.load(deadline=self._deadline):
                    self._given.setdefault(carrier.id, []).append((plugin, carrier))

    def _best(self, carrier_id: str) -> Owned | None:
        given = self._given.get(carrier_id, [])
        if carrier_id in self._chosen:
            given = [owned for owned in given if self._is_chosen(owned[0], carrier_id)]
        return min(given, key=lambda owned: _rank(owned[0], carrier_id), default=None)

    def _is_chosen(self, plugin: Plugin, carrier_id: str) -> bool:
        return self._chosen[carrier_id] in {plugin.name, plugin.distribution}

    def _settle(self) -> None:
        """Give every carrier to its owner and tell each plug-in in dispute of the others, by distribution."""
        notes: dict[Plugin, list[str]] = {}
        for carrier_id, given in self._given.items():
            best = self._best(carrier_id)
            if best is not None:
                self._settled[carrier_id] = best
                best[0].carriers[carrier_id] = best[1]
            for plugin, _ in given:
                if len(given) > 1 or best is None:
                    notes.setdefault(plugin, []).append(self._dispute(carrier_id, plugin, given, best))
                disputed = best is not None and plugin is not best[0] and carrier_id not in self._chosen
                if disputed and plugin.usable:
                    plugin.state = PluginState.IN_CONFLICT
        for plugin, lines in notes.items():
            if plugin.usable:
                plugin.reason = "; ".join(lines)

    def _dispute(self, carrier_id: str, plugin: Plugin, given: Sequence[Owned], best: Owned | None) -> str:
        if best is None:
            return f'"{carrier_id}" is to be served by "{self._chosen[carrier_id]}", which does not give it'
        if plugin is best[0]:
            others = ", ".join(str(other) for other, _ in given if other is not plugin)
            return f'"{carrier_id}" is also given by {others}; this one is used'
        why = "as configured" if carrier_id in self._chosen else f"owners.{carrier_id} chooses another"
        return f'"{carrier_id}" is served by {best[0]}; {why}'

    def _unknown(self, carrier_id: str) -> UnknownCarrier:
        msg = f'no plug-in serves the carrier "{carrier_id}"'
        if carrier_id in self._chosen:
            msg = f'the carrier "{carrier_id}" is to be served by "{self._chosen[carrier_id]}", which does not give it'
        for plugin in self._plugins:
            if not plugin.usable and _spelt(carrier_id) in {_spelt(claim) for claim in plugin.claims}:
                msg += f"; {plugin} would, but is {plugin.state}: {plugin.reason}"
        near = self._nearest(carrier_id)
        return UnknownCarrier(msg, field="carrier", what_to_do=f'Did you mean "{near}"?' if near else "")

    def _nearest(self, carrier_id: str) -> str | None:
        spellings: dict[str, str] = {}
        for known, (_, carrier) in sorted(self._settled.items()):
            for spelling in (known, carrier.name, carrier.wix_provider or known):
                spellings.setdefault(_spelt(spelling), known)
        near = get_close_matches(_spelt(carrier_id), spellings, n=1, cutoff=0.7)
        return spellings[near[0]] if near else None


def _rank(plugin: Plugin, carrier_id: str) -> tuple[int, bool, str, str]:
    return plugin.origin, carrier_id not in plugin.claims, plugin.distribution, plugin.name


def _spelt(name: str) -> str:
    """Give what stays of a name whichever way it is written: canada-post, canadaPost and CANADA_POST are one."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", name).casefold() if letter.isalnum())
