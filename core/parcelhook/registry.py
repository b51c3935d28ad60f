"""Find, load and index plug-ins; a call about one carrier runs its owner's code and nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Self, cast

from parcelhook.boundary import Boundary, HookStats, Limits
from parcelhook.carrier import Carrier
from parcelhook.contexts import ContextFactory
from parcelhook.errors import InputError, ParcelhookError
from parcelhook.models import (
    Booking,
    BookingRequest,
    CarrierAnswer,
    CarrierPush,
    Notice,
    Order,
    ParsedAnswer,
    Scan,
    Shipment,
    StatusChange,
    TrackingQuery,
    TrackingReport,
)
from parcelhook.ownership import Ownership
from parcelhook.plugin_log import logger
from parcelhook.plugins import Origin, Plugin, PluginRow, PluginState, explicit, in_folder, installed


class Registry:
    """All plug-ins of one installation.

    ``extra`` are plug-ins the program brings itself, by name. ``allow`` limits installed plug-ins to these names or
    distributions; with ``plugins_enabled`` false none but the built-in ones, ``extra`` and the folder's are used.
    ``owners`` says, by carrier id, which plug-in (or distribution) serves a carrier that several give; otherwise
    ``extra`` wins over built-ins, these over the folder, and these over installed ones, where the entry point named
    like the carrier goes first and then the distribution's name decides.
    """

    def __init__(
        self,
        *,
        entry_points: Iterable[EntryPoint] | None = None,
        carriers_folder: Path | None = None,
        extra: Mapping[str, object] | None = None,
        allow: frozenset[str] | None = None,
        plugins_enabled: bool = True,
        owners: Mapping[str, str] | None = None,
        contexts: ContextFactory | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        plugins = [*explicit(extra or {}), *in_folder(carriers_folder), *installed(entry_points)]
        for plugin in plugins:
            if plugin.origin is Origin.INSTALLED:
                _disable(plugin, allow if plugins_enabled else frozenset(), enabled=plugins_enabled)
        self._boundary = Boundary(contexts=contexts or ContextFactory(), limits=limits)
        self._ownership = Ownership(plugins, chosen=owners or {}, deadline=limits.load)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the carriers' connections and end the plug-ins' threads."""
        self._boundary.close()

    # What there is

    def carrier(self, carrier_id: str) -> Carrier:
        """Give a carrier, importing no more plug-ins than it takes; raise UnknownCarrier that names the nearest id."""
        return self._ownership.of(carrier_id)[1]

    def carriers(self) -> tuple[Carrier, ...]:
        """Load every plug-in and give all carriers, by id."""
        return tuple(carrier for _, carrier in self._ownership.all())

    def plugins(self) -> tuple[PluginRow, ...]:
        """Load every plug-in and tell how each fares."""
        return tuple(plugin.row() for plugin in self._ownership.loaded())

    def hook_names(self, carrier_id: str) -> frozenset[str]:
        """Give the hooks that a carrier's owner implements."""
        return frozenset(self._ownership.of(carrier_id)[0].hooks)

    def stats(self) -> dict[tuple[str, str], HookStats]:
        """Give calls, failures and seconds by plug-in's name and hook."""
        return self._boundary.stats()

    # What a carrier's owner is asked

    def resolve_tracking_url(self, shipment: Shipment) -> str | None:
        """Ask for a shipment's link; None where the carrier's template is to build it."""
        hook = "parcelhook_resolve_tracking_url"
        if hook not in self._ownership.of(shipment.carrier)[0].hooks:
            return None
        return cast("str | None", self._ask(shipment.carrier, hook, shipment=shipment))

    def map_status(self, carrier_id: str, scan: Scan) -> StatusChange | None:
        """Ask what a scan means that the carrier's table does not decide; None leaves it as it is."""
        if "parcelhook_map_status" not in self._ownership.of(carrier_id)[0].hooks:
            return None
        return cast("StatusChange | None", self._ask(carrier_id, "parcelhook_map_status", scan=scan))

    def track(self, carrier_id: str, queries: Sequence[TrackingQuery]) -> tuple[TrackingReport, ...]:
        """Ask the carrier about up to ``batch_size`` parcels."""
        reports = self._ask(carrier_id, "parcelhook_track", queries=tuple(queries))
        return tuple(cast("Sequence[TrackingReport]", reports))

    def parse(self, carrier_id: str, answer: CarrierAnswer) -> ParsedAnswer:
        """Turn a raw tracking answer into reports and errors."""
        return cast("ParsedAnswer", self._ask(carrier_id, "parcelhook_parse", answer=answer))

    def receive(self, carrier_id: str, push: CarrierPush) -> tuple[TrackingReport, ...]:
        """Check a carrier's own webhook and give its reports."""
        return tuple(cast("Sequence[TrackingReport]", self._ask(carrier_id, "parcelhook_receive", push=push)))

    def book(self, carrier_id: str, request: BookingRequest) -> Booking:
        """Book parcels under the request's key."""
        return cast("Booking", self._ask(carrier_id, "parcelhook_book", _other_key(request.key), request=request))

    def find_booking(self, carrier_id: str, key: str) -> Booking | None:
        """Look for what an interrupted booking left behind."""
        return cast("Booking | None", self._ask(carrier_id, "parcelhook_find_booking", _other_key(key), key=key))

    def cancel_booking(self, carrier_id: str, booking: Booking) -> None:
        """Cancel a booking."""
        self._ask(carrier_id, "parcelhook_cancel_booking", booking=booking)

    # What all plug-ins are asked or told

    def choose_carrier(self, order: Order) -> dict[str, Mapping[str, str]]:
        """Ask every plug-in for one of its own carriers; by plug-in's name, line item id to carrier id.

        A plug-in that fails, or names a carrier of another or an item the order does not have, is logged, counted
        among the failures, and otherwise left out.
        """
        choices: dict[str, Mapping[str, str]] = {}
        hook = "parcelhook_choose_carrier"
        for plugin in self._with_hook(hook):
            try:
                objection = partial(_foreign_choice, plugin, order)
                chosen = self._boundary.call(plugin, hook, {"order": order}, objection=objection)
            except ParcelhookError as error:
                logger(plugin=str(plugin)).warning("choice of a carrier left out", reason=error.message)
            else:
                if chosen:
                    choices[plugin.name] = cast("Mapping[str, str]", chosen)
        return choices

    def notify(self, notice: Notice, *, plugins: Collection[str] | None = None) -> dict[str, ParcelhookError]:
        """Tell every plug-in, or those named, what happened; give the failures by plug-in's name."""
        failures: dict[str, ParcelhookError] = {}
        for plugin in self._with_hook("parcelhook_notify"):
            if plugins is None or plugin.name in plugins:
                try:
                    self._boundary.call(plugin, "parcelhook_notify", {"notice": notice})
                except ParcelhookError as error:
                    failures[plugin.name] = error
        return failures

    def _ask(
        self, carrier_id: str, hook: str, objection: Callable[[object], str] = lambda _: "", **given: object
    ) -> object:
        owner, carrier = self._ownership.of(carrier_id)
        if hook not in owner.hooks:
            msg = f'carrier "{carrier_id}": {owner} does not implement {hook}'
            raise InputError(msg, field="carrier")
        return self._boundary.call(owner, hook, given, carrier=carrier, objection=objection)

    def _with_hook(self, hook: str) -> list[Plugin]:
        return [plugin for plugin in self._ownership.loaded() if hook in plugin.hooks and plugin.usable]


def _other_key(key: str) -> Callable[[object], str]:
    """Object to a booking under another key than the one asked for: it could never be found again."""
    return lambda booking: "gave a booking under another key" if booking and cast("Booking", booking).key != key else ""


def _foreign_choice(plugin: Plugin, order: Order, chosen: object) -> str:
    """Object to a choice of a carrier that is not the plug-in's own, or for an item the order does not have."""
    choice = cast("Mapping[str, str] | None", chosen) or {}
    if foreign := sorted(set(choice.values()) - set(plugin.carriers)):
        return f"chose {', '.join(foreign)}, which it does not serve"
    if unknown := sorted(set(choice) - {item.id for item in order.line_items}):
        return f"chose for {', '.join(unknown)}, which the order does not have"
    return ""


def _disable(plugin: Plugin, allow: frozenset[str] | None, *, enabled: bool) -> None:
    if allow is not None and not {plugin.name, plugin.distribution} & allow:
        plugin.state = PluginState.DISABLED
        plugin.reason = (
            "it is not on the operator's list of allowed plug-ins" if enabled else "plug-ins are switched off"
        )
