"""What an operator configures: ``parcelhook.toml``, overridden by the environment.

    database_url = "sqlite:///parcelhook.sqlite"

    [stores.main]
    api_key = "..."
    site_id = "..."

    [carriers.fedex]
    client_id = "..."

    [[rules]]
    country = ["CA"]
    carrier = "canada-post"

Where there are several stores, ``[stores.NAME.carriers.ID]`` and ``[[stores.NAME.rules]]`` are one store's own: its
account at a carrier is laid over the common one, and its rules go before those of all stores.

Whatever is wrong is a ConfigurationError that names the file and line, or the variable, and never shows a value.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from parcelhook.errors import ConfigurationError, InputError
from parcelhook.links import is_loopback
from parcelhook.mistakes import UNKNOWN_KEY, did_you_mean, plain
from parcelhook.settings_sources import EnvironmentSource, FileSource, Location

APP_FIELDS: Final = ("app_id", "app_secret", "instance_id")
KEY_FIELDS: Final = ("api_key", "site_id")
LACKING: Final = "lacking"


def _split(value: object) -> object:
    """Let one text, with commas, stand for a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=63)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166 alpha-2, as CA")]
Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
CarrierTables = Annotated[dict[str, dict[str, object]], Field(repr=False)]


class Table(BaseModel):
    """A table of the file: immutable, refusing keys it does not know, showing no value in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class App(Table):
    """A Wix app, shared by the stores that name it; ``public_key`` checks its webhooks."""

    app_id: str
    app_secret: SecretStr
    public_key: str = Field(default="", repr=False)


class Rule(Table):
    """Choose a carrier for an order: every condition that is set must hold; the first rule that matches wins."""

    carrier: str
    country: Annotated[tuple[Country, ...], BeforeValidator(_split)] = ()
    shipping_method: str | None = Field(default=None, description="a pattern with * and ?, in any case")
    max_weight_kg: Annotated[float, Field(gt=0)] | None = None


class Store(Table):
    """A Wix store, reached as an app (``app`` and ``instance_id``, or all three of its own) or with an API key.

    ``token`` is what a caller of ``POST /shipments`` shows. Orders approved before ``ships_after`` are left alone.
    ``rate_limit`` is in calls a minute; ``carriers`` holds this store's own accounts, ``rules`` what goes before the
    rules of all stores.
    """

    wix_url: str = "https://www.wixapis.com"
    app: str = ""
    app_id: str = ""
    app_secret: SecretStr = SecretStr("")
    instance_id: str = ""
    public_key: str = Field(default="", repr=False)
    api_key: SecretStr = SecretStr("")
    site_id: str = ""
    token: SecretStr = SecretStr("")
    ship_unpaid: bool = False
    ships_after: AwareDatetime | None = None
    rate_limit: Annotated[int, Field(ge=1, le=100_000)] = 200
    carriers: CarrierTables = {}
    rules: tuple[Rule, ...] = ()

    @field_validator("wix_url")
    @classmethod
    def _url_is_safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.query:
            msg = "should be a URL like https://www.wixapis.com"
            raise ValueError(msg)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            msg = "should begin with https://, for secrets are sent to it; http is for loopback only"
            raise ValueError(msg)
        return url.rstrip("/")

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        by_app = [name for name in ("app", "app_id", "app_secret", "instance_id", "public_key") if _is_set(self, name)]
        by_key = [name for name in KEY_FIELDS if _is_set(self, name)]
        if by_app and by_key:
            msg = f"has credentials of two kinds, {by_app[0]} and {by_key[0]}; remove one"
            raise ValueError(msg)
        if self.app and (self.app_id or _is_set(self, "app_secret") or self.public_key):
            msg = "names an app and repeats what belongs there; remove app, or app_id, app_secret and public_key"
            raise ValueError(msg)
        wanted = KEY_FIELDS if by_key else ("app", "instance_id") if self.app else APP_FIELDS
        missing = [name for name in wanted if not _is_set(self, name)]
        if missing and len(missing) == len(wanted):
            raise _lacks(APP_FIELDS, KEY_FIELDS)
        if missing:
            raise _lacks(missing)
        return self

    @property
    def uses_api_key(self) -> bool:
        """Tell whether the store is reached with an API key, and so gets no webhooks."""
        return bool(self.site_id)

    @property
    def is_loopback(self) -> bool:
        """Tell whether the store is on this machine: a sandbox, whose links may be http."""
        return is_loopback(urlsplit(self.wix_url).hostname or "")


class Plugins(Table):
    """Which installed plug-ins are used beside the built-in ones.

    ``enabled`` false means none, ``allow`` only these plug-ins or distributions. ``owners`` says, by carrier id, which
    of several plug-ins serves a carrier.
    """

    enabled: bool = True
    allow: Texts | None = None
    owners: dict[str, str] = {}


class Settings(BaseSettings):
    """The whole configuration; made by ``load``, or in a test from arguments alone."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    stores: dict[Name, Store] = {}
    apps: dict[Name, App] = {}
    carriers: CarrierTables = {}
    rules: tuple[Rule, ...] = ()
    plugins: Plugins = Plugins()
    database_url: str = Field(default="sqlite:///parcelhook.sqlite", repr=False)
    settle_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    poll_scale: Annotated[float, Field(gt=0, le=1000, description="stretches every time between two polls")] = 1.0
    carriers_folder: Path = Path("carriers")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names the arguments
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments only; ``load`` brings the sources of an installation."""
        return (init_settings,)

    @classmethod
    def load(cls, config: Path | None = None, *, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the file (``config``, PARCELHOOK_CONFIG, or ``parcelhook.toml`` if there is one) and the environment.

        Raise ConfigurationError for the first mistake.
        """
        environment = os.environ if environment is None else environment
        file = FileSource.find(cls, config, environment=environment)
        variables = EnvironmentSource(cls, environment, stores=file.names("stores"), apps=file.names("apps"))
        try:
            return cls(_build_sources=((variables, file), {}))
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False)
        # A key with a typing mistake is often reported as missing too, and that says less.
        first = min(found, key=lambda each: each["type"] != UNKNOWN_KEY)
        raise _mistake(first, variables=variables, file=file)

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, url: str) -> str:
        if not url.startswith(("sqlite://", "postgresql://", "postgresql+psycopg://", "postgres://")):
            msg = "should be a URL like sqlite:///parcelhook.sqlite or postgresql://user@host/name"
            raise ValueError(msg)
        return url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url

    @model_validator(mode="after")
    def _stores_have_their_apps(self) -> Self:
        for name, store in self.stores.items():
            if not store.app:
                continue
            app = self.apps.get(store.app)
            if app is None:
                msg = f"names no app of this configuration{did_you_mean(store.app, self.apps)}"
                raise PydanticCustomError("unknown_app", "{why}", {"why": msg, "location": ("stores", name, "app")})
            shared = {"app_id": app.app_id, "app_secret": app.app_secret, "public_key": app.public_key}
            self.stores[name] = store.model_copy(update=shared)
        return self

    def store_name(self, name: str | None = None) -> str:
        """Give the name of the store that is meant: the named one, or the only one.

        Raise InputError for a name that is not configured, ConfigurationError where there is no store or a choice.
        """
        names = ", ".join(sorted(self.stores))
        if name is not None and name in self.stores:
            return name
        if not self.stores:
            msg = "no store is configured"
            hint = "Write [stores.NAME] into parcelhook.toml, or set PARCELHOOK_WIX_APP_ID and its companions."
            raise ConfigurationError(msg, what_to_do=hint)
        if name is not None:
            msg = f"there is no store {name!r}{did_you_mean(name, self.stores)}"
            raise InputError(msg, field="--store", what_to_do=f"Configured are: {names}.")
        if len(self.stores) > 1:
            msg = "several stores are configured, and none is named"
            raise ConfigurationError(msg, what_to_do=f"Add --store with one of: {names}.")
        return next(iter(self.stores))

    def store_names(self, name: str | None = None) -> list[str]:
        """Give the name of the store that is meant, or where none is named, of all; raise as ``store_name`` does."""
        return sorted(self.stores) if name is None else [self.store_name(name)]

    def store(self, name: str | None = None) -> Store:
        """Give the store that is meant; raise as ``store_name`` does."""
        return self.stores[self.store_name(name)]

    def carrier(self, carrier: str, *, store: str | None = None) -> dict[str, object]:
        """Give what is configured for a carrier, the store's own account laid over the common one."""
        own = self.stores[store].carriers if store is not None and store in self.stores else {}
        return {**self.carriers.get(carrier, {}), **own.get(carrier, {})}

    def rules_of(self, store: str) -> tuple[Rule, ...]:
        """Give the rules that hold for a store, its own before those of all stores: the first that matches wins."""
        return (*self.stores[store].rules, *self.rules)


def _is_set(store: Store, name: str) -> bool:
    value = getattr(store, name)
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _lacks(*choices: Sequence[str]) -> PydanticCustomError:
    """Give the mistake of a store without some fields, or without one of several sets of them."""
    return PydanticCustomError(LACKING, "lacks {choices}", {"choices": [list(each) for each in choices]})


def _mistake(first: ErrorDetails, *, variables: EnvironmentSource, file: FileSource) -> ConfigurationError:
    context = first.get("ctx", {})
    location: Location = tuple(part for part in context.get("location") or first["loc"] if part != "[key]")
    where = variables.where(location) or file.where(location)
    field = ".".join(str(part) for part in location)
    if first["type"] == LACKING:
        return _lacking(field, str(location[-1]), context["choices"], where=where, variables=variables)
    near = did_you_mean(str(location[-1]), _known(location)) if first["type"] == UNKNOWN_KEY else ""
    msg = f"{where}: {field}: {plain(first)}{near}"
    return ConfigurationError(msg, where=where, what_to_do=f"Correct {field} there.")


def _lacking(
    field: str, store: str, choices: Sequence[Sequence[str]], *, where: str, variables: EnvironmentSource
) -> ConfigurationError:
    """Name what a store lacks before what it has: the variables that are to be set."""
    names = [" and ".join(f"{name} ({variables.variable(store, name)})" for name in each) for each in choices]
    told = f"lacks {names[0]}" if len(names) == 1 else f"has no credentials; set {', or '.join(names)}"
    msg = f"{field}: {told}; what it has comes from {where}"
    to_set = ", or ".join(" and ".join(variables.variable(store, name) for name in each) for each in choices)
    hint = f"Set {to_set}, or write it under [{field}] in parcelhook.toml."
    return ConfigurationError(msg, where=where, what_to_do=hint)


def _known(location: Location) -> Mapping[str, object]:
    tables: dict[object, type[BaseModel]] = {"stores": Store, "apps": App, "rules": Rule, "plugins": Plugins}
    table = "rules" if "rules" in location[:-1] else location[0]
    return (tables.get(table, Settings) if len(location) > 1 else Settings).model_fields
