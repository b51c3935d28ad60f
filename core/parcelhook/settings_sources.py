"""Where settings come from, and where each came from: the file by line, the environment by variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeAlias

from pydantic_settings import BaseSettings, InitSettingsSource

from parcelhook.definition import Definition
from parcelhook.errors import ConfigurationError, InvalidCarrier

Location: TypeAlias = tuple[str | int, ...]

PREFIX: Final = "PARCELHOOK_"
DEFAULT_FILE: Final = Path("parcelhook.toml")

WIX_VARIABLES: Final = {
    "PARCELHOOK_WIX_URL": "wix_url",
    "PARCELHOOK_WIX_APP_ID": "app_id",
    "PARCELHOOK_WIX_APP_SECRET": "app_secret",
    "PARCELHOOK_WIX_INSTANCE_ID": "instance_id",
    "PARCELHOOK_WIX_PUBLIC_KEY": "public_key",
    "PARCELHOOK_WIX_API_KEY": "api_key",
    "PARCELHOOK_WIX_SITE_ID": "site_id",
    "PARCELHOOK_TOKEN": "token",
}
"""The variables of one store: the only one of the file, or the one named ``default``."""

GENERAL_VARIABLES: Final = {
    "PARCELHOOK_DATABASE_URL": "database_url",
    "PARCELHOOK_SETTLE_SECONDS": "settle_seconds",
    "PARCELHOOK_POLL_SCALE": "poll_scale",
    "PARCELHOOK_CARRIERS_FOLDER": "carriers_folder",
}

TABLES: Final = ("stores", "apps", "carriers", "plugins")
"""Tables with variables of their own: PARCELHOOK_CARRIERS__FEDEX__CLIENT_ID is ``carriers.fedex.client_id``."""


class _Source(InitSettingsSource):
    """A source whose values are all there when it is made."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings, {})
        self.values: dict[str, object] = {}

    def __call__(self) -> dict[str, object]:
        return self.values


class FileSource(_Source):
    """The values of ``parcelhook.toml``, or none where there is no file."""

    def __init__(self, settings: type[BaseSettings], definition: Definition | None) -> None:
        super().__init__(settings)
        self._definition = definition
        self.values = {} if definition is None else definition.data

    @classmethod
    def find(cls, settings: type[BaseSettings], config: Path | None, *, environment: Mapping[str, str]) -> FileSource:
        """Read the file named, or the default one if it exists; raise ConfigurationError if it cannot be read."""
        named = config or environment.get("PARCELHOOK_CONFIG")
        path = Path(named or DEFAULT_FILE)
        if not named and not path.exists():
            return cls(settings, None)
        try:
            return cls(settings, Definition.read(path))
        except InvalidCarrier as error:
            hint = error.what_to_do or "Correct the path (--config, PARCELHOOK_CONFIG) or the file's permissions."
            raise ConfigurationError(error.message, where=error.where, what_to_do=hint) from None

    def names(self, table: str) -> tuple[str, ...]:
        """Give the names of the tables under ``[table.NAME]``."""
        found = self.values.get(table)
        return tuple(found) if isinstance(found, dict) else ()

    def where(self, location: Location) -> str:
        """Give ``file:line`` of a location, or of the nearest thing above it that is in the file."""
        if self._definition is None:
            return "the environment"
        present: list[str | int] = []
        value: object = self.values
        for part in location:
            inside = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, list) and isinstance(part, int):
                inside = value[part]
            if inside is None:
                break
            present.append(part)
            value = inside
        return f"{self._definition.where}:{self._definition.line_of(present)}"


class EnvironmentSource(_Source):
    """The values of PARCELHOOK_ variables; a name with ``_FILE`` after it holds the path of a file with the value.

    A variable that looks like one of ours and is none is a ConfigurationError, so that a typing mistake is no silent
    default. Others that begin like ours are left alone: a cluster sets such names for a service called parcelhook.
    An empty variable counts as not set.
    """

    def __init__(
        self,
        settings: type[BaseSettings],
        environment: Mapping[str, str],
        *,
        stores: Iterable[str] = (),
        apps: Iterable[str] = (),
    ) -> None:
        super().__init__(settings)
        self._names = {"stores": tuple(stores), "apps": tuple(apps)}
        self._origin: dict[Location, str] = {}
        for variable, text in sorted(environment.items()):
            if variable.startswith(PREFIX) and text and variable not in {"PARCELHOOK_CONFIG", "PARCELHOOK_DEBUG"}:
                self._take(variable, text)

    def where(self, location: Location) -> str:
        """Give the variables that set a location or something below it, or nothing."""
        return ", ".join(name for place, name in self._origin.items() if place[: len(location)] == location)

    def variable(self, store: str, field: str) -> str:
        """Give the variable that sets a field of a store: the short one where it can only mean this store."""
        names = self._names["stores"]
        short = {its: name for name, its in WIX_VARIABLES.items()}
        if field in short and (store == "default" or names == (store,)):
            return short[field]
        return f"{PREFIX}STORES__{store.replace('-', '_').replace('.', '_')}__{field}".upper()

    def _take(self, variable: str, text: str) -> None:
        name = variable.removesuffix("_FILE")
        location = self._location(name)
        if location is None:
            return _refuse_typing_mistake(name)
        if location in self._origin:
            msg = f"{self._origin[location]} and {variable} are both set"
            raise ConfigurationError(msg, where=variable, what_to_do="Unset one of them.")
        self._origin[location] = variable
        self._put(location, text if name == variable else _content(variable, Path(text)))
        return None

    def _location(self, name: str) -> tuple[str, ...] | None:
        if name in GENERAL_VARIABLES:
            return (GENERAL_VARIABLES[name],)
        if name in WIX_VARIABLES:
            return "stores", self._only_store(name), WIX_VARIABLES[name]
        table, *parts = name.removeprefix(PREFIX).lower().split("__")
        if table not in TABLES or not all(parts) or len(parts) < (1 if table == "plugins" else 2):
            return None
        return table, *self._spelled(table, parts)

    def _only_store(self, variable: str) -> str:
        names = self._names["stores"]
        if len(names) > 1 and "default" not in names:
            msg = f"{variable} is for one store, and the file has several: {', '.join(names)}"
            field = WIX_VARIABLES[variable].upper()
            raise ConfigurationError(
                msg, where=variable, what_to_do=f"Name the store: PARCELHOOK_STORES__NAME__{field}."
            )
        return names[0] if len(names) == 1 else "default"

    def _spelled(self, table: str, parts: list[str]) -> tuple[str, ...]:
        """Give the parts as the file spells them: an id with hyphens, a name in its own case."""
        first, *rest = parts
        if table == "carriers":
            return first.replace("_", "-"), *rest
        known = {name.lower().replace("-", "_").replace(".", "_"): name for name in self._names.get(table, ())}
        if table == "stores" and rest[0] == "carriers" and len(rest) > 1:
            rest[1] = rest[1].replace("_", "-")
        return known.get(first, first), *rest

    def _put(self, location: tuple[str, ...], text: str) -> None:
        *above, last = location
        table = self.values
        for part in above:
            inside = table.setdefault(part, {})
            if not isinstance(inside, dict):
                msg = f"{self._origin[location]} sets a value inside {'.'.join(above)}, which is a value itself"
                raise ConfigurationError(msg, where=self._origin[location], what_to_do="Unset one of the two.")
            table = inside
        table[last] = text


def _content(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"{variable}: the file {path} cannot be read: {reason}"
        raise ConfigurationError(
            msg, where=variable, what_to_do="Correct the path or the file's permissions."
        ) from None


def _refuse_typing_mistake(name: str) -> None:
    known = {known.removeprefix(PREFIX): known for known in (*WIX_VARIABLES, *GENERAL_VARIABLES)}
    word = name.removeprefix(PREFIX)
    near = get_close_matches(word, known, n=1, cutoff=0.8)
    ours = word.startswith(("WIX_", *(f"{table.upper()}__" for table in TABLES)))
    if near or ours:
        hint = f"Did you mean {known[near[0]]}?" if near else "Known are PARCELHOOK_WIX_APP_ID and its companions."
        msg = f"{name} is not a known variable"
        raise ConfigurationError(msg, where=name, what_to_do=hint)
