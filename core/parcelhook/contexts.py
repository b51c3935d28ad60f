"""Make what a hook is given to work with: its carrier's client, settings, clock and logger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from parcelhook.carrier import Carrier
from parcelhook.context import Logger
from parcelhook.errors import ConfigurationError
from parcelhook.mistakes import mistakes
from parcelhook.models import Model
from parcelhook.plugin_log import logger

if TYPE_CHECKING:
    from parcelhook.http import HttpCarrierClient, HttpLimits


class NoSettings(Model):
    """Settings of a carrier that asks for none."""


class HookContext:
    """The CarrierContext of one carrier; client, settings and logger are made when they are first asked for."""

    def __init__(self, carrier: Carrier, *, plugin: str, factory: ContextFactory) -> None:
        self._carrier = carrier
        self._plugin = plugin
        self._factory = factory
        self._http: HttpCarrierClient | None = None
        self._settings: BaseModel | None = None

    @property
    def carrier(self) -> Carrier:
        """Give the carrier this call is about."""
        return self._carrier

    @property
    def http(self) -> HttpCarrierClient:
        """Give the client bound to the carrier's hosts."""
        if self._http is None:
            self._http = self._factory.client(self._carrier)
        return self._http

    @property
    def settings(self) -> BaseModel:
        """Give the carrier's validated settings; raise ConfigurationError where they are missing or wrong."""
        if self._settings is None:
            self._settings = self._factory.settings(self._carrier)
        return self._settings

    @property
    def log(self) -> Logger:
        """Give a logger bound to plug-in and carrier."""
        return logger(plugin=self._plugin, carrier=self._carrier.id)

    def now(self) -> datetime:
        """Give the present time, aware and UTC."""
        return self._factory.now()

    async def aclose(self) -> None:
        """Close the client, if one was made."""
        if self._http is not None:
            await self._http.aclose()


class ContextFactory:
    """Makes contexts out of the operator's settings by carrier id; no context sees another carrier's.

    The key ``host`` of a carrier's settings replaces the API host of its definition: https, or http to loopback.
    """

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: HttpLimits | None = None,
    ) -> None:
        self._settings = settings or {}
        self._limits = limits
        self.now = clock

    def context(self, carrier: Carrier, *, plugin: str) -> HookContext:
        """Give a new context for a carrier served by a plug-in."""
        return HookContext(carrier, plugin=plugin, factory=self)

    def client(self, carrier: Carrier) -> HttpCarrierClient:
        """Give a new client; a configured host is the only one it talks to."""
        from parcelhook.http import HttpCarrierClient, HttpLimits  # noqa: PLC0415 - only calls that go out need it

        configured = self._configured_host(carrier)
        hosts = (configured,) if configured else tuple(host for host in (carrier.host, carrier.test_host) if host)
        limits = self._limits or HttpLimits()
        return HttpCarrierClient(carrier.id, hosts=hosts, limits=limits, quota=carrier.quota)

    def settings(self, carrier: Carrier) -> BaseModel:
        """Give a carrier's validated settings; raise ConfigurationError that names the fields, never their values."""
        if carrier.settings is None:
            return NoSettings()
        given = dict(self._settings.get(carrier.id, {}))
        if "host" not in carrier.settings.model_fields:
            given.pop("host", None)
        try:
            return carrier.settings.model_validate(given)
        except ValidationError as error:
            found = mistakes(error)
        raise _wrong_settings(carrier, found)

    def _configured_host(self, carrier: Carrier) -> str | None:
        host = self._settings.get(carrier.id, {}).get("host")
        if host is None:
            return None
        from parcelhook.links import is_loopback  # noqa: PLC0415 - as above

        parts = urlsplit(host) if isinstance(host, str) else urlsplit("")
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if not secure or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise _wrong_settings(carrier, [("host", "must be an https URL, or http to this machine")])
        return str(host)


def _wrong_settings(carrier: Carrier, found: list[tuple[str, str]]) -> ConfigurationError:
    table, prefix = f"[carriers.{carrier.id}]", f"PARCELHOOK_CARRIERS__{_shell(carrier.id)}"
    problems = "; ".join(f"{table} {path}: {text}" if path else f"{table}: {text}" for path, text in found)
    names = " and ".join(f"{prefix}__{_shell(path)}" for path, _ in found if path)
    return ConfigurationError(
        problems, where=table, what_to_do=f"Set {names}, or correct {table} in parcelhook.toml." if names else ""
    )


def _shell(name: str) -> str:
    return name.replace("-", "_").replace(".", "__").upper()
