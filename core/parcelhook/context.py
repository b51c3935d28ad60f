"""What a hook is given to work with: its carrier's HTTP client, settings, clock and logger, and never another's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Generic, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel
from typing_extensions import TypeVar as DefaultedTypeVar

from parcelhook.carrier import Carrier

Json: TypeAlias = "Mapping[str, Json] | list[Json] | tuple[Json, ...] | str | int | float | bool | None"
Query: TypeAlias = Mapping[str, str | int | float | bool | None]

ReadModel = TypeVar("ReadModel", bound=BaseModel)
SettingsT_co = DefaultedTypeVar("SettingsT_co", bound=BaseModel, covariant=True, default=BaseModel)


class CarrierResponse(Protocol):
    """An answer with a 2xx or accepted status; anything else was raised as a CarrierError before it got here."""

    @property
    def status(self) -> int:
        """Give the HTTP status: 200 to 299, or one that was accepted."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Give the headers, names in lower case."""
        ...

    @property
    def body(self) -> bytes:
        """Give the whole body, decompressed, capped in size."""
        ...

    @property
    def text(self) -> str:
        """Give the body as text, by the charset the answer names, else UTF-8."""
        ...

    def read(self, model: type[ReadModel]) -> ReadModel:
        """Validate the JSON body against a model; raise CarrierUnreadable where it does not fit."""
        ...


class CarrierClient(Protocol):
    """An HTTP client bound to one carrier's hosts.

    Paths are relative to the carrier's ``host``; a full URL must lead to it. Redirects stay on the carrier's hosts.
    Deadlines, the body cap, quota and redaction are taken care of; safe methods are tried again, others never. An
    answer that is not 2xx is raised: CarrierUnauthorized (401, 403), CarrierThrottled (429), CarrierRefused (other
    4xx), CarrierUnavailable (5xx, no answer). The statuses in ``accept`` are answers instead, as where a carrier says
    404 for a number it does not know yet.
    """

    async def get(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> CarrierResponse:
        """Send GET."""
        ...

    async def post(
        self,
        path: str,
        *,
        json: Json = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> CarrierResponse:
        """Send POST with at most one of ``json``, ``form`` and ``content``."""
        ...

    async def put(
        self,
        path: str,
        *,
        json: Json = None,
        content: bytes | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> CarrierResponse:
        """Send PUT with at most one of ``json`` and ``content``."""
        ...

    async def delete(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> CarrierResponse:
        """Send DELETE."""
        ...


class Logger(Protocol):
    """A structured logger that already knows plug-in and carrier; values are named and never hold secrets."""

    def debug(self, event: str, /, **values: object) -> object:
        """Tell what only a developer wants to know."""
        ...

    def info(self, event: str, /, **values: object) -> object:
        """Tell what happened."""
        ...

    def warning(self, event: str, /, **values: object) -> object:
        """Tell what should be looked at."""
        ...


class CarrierContext(Protocol, Generic[SettingsT_co]):
    """What one call of a hook may use.

    Write ``CarrierContext[AcmeSettings]`` where the carrier was loaded with ``settings=AcmeSettings``, and
    ``context.settings`` has that type.
    """

    @property
    def carrier(self) -> Carrier:
        """Give the carrier this call is about."""
        ...

    @property
    def http(self) -> CarrierClient:
        """Give the client bound to the carrier's hosts."""
        ...

    @property
    def settings(self) -> SettingsT_co:
        """Give the carrier's validated settings; raise ConfigurationError where they are missing or wrong."""
        ...

    @property
    def log(self) -> Logger:
        """Give a logger bound to plug-in and carrier."""
        ...

    def now(self) -> datetime:
        """Give the present time, aware and UTC."""
        ...
