"""A carrier as data: ids, number formats, link templates and status tables, from Python or ``carrier.toml``.

Loading validates all of it, so that whatever a registered carrier says can be relied upon later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import Annotated, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from parcelhook.definition import Definition
from parcelhook.errors import InvalidCarrier, UnsupportedApi
from parcelhook.mistakes import UNKNOWN_KEY, did_you_mean, plain
from parcelhook.models import Model, Reason, Status
from parcelhook.patterns import takes_for_ever

API_VERSIONS: Final = range(1, 2)
"""The versions of the hooks this parcelhook understands: ``api`` in ``carrier.toml``."""

PLACEHOLDERS: Final = frozenset({"number", "postal_code", "country", "locale"})
URL_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
"""What an ASCII URL may hold (RFC 3986): no blank, control, backslash, quote, brace or stray percent sign."""
HOST_NAME = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*")


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        msg = f"is no regular expression: {error}"
        raise ValueError(msg) from error
    if takes_for_ever(pattern):
        msg = "repeats a group that itself repeats or chooses, which can take for ever to match; write it without"
        raise ValueError(msg)
    return pattern


WixProvider: TypeAlias = Literal["fedex", "ups", "usps", "dhl", "canadaPost"]
"""The providers whose tracking link Wix builds itself, spelt as Wix takes them (Wix, "Order Fulfillments")."""

Pattern: TypeAlias = Annotated[str, AfterValidator(_compiles)]


class Capability(StrEnum):
    """What a plug-in can do for a carrier beyond data."""

    LINK = "link"
    TRACK = "track"
    BOOK = "book"
    PUSH = "push"


class CheckDigit(Model):
    """How a number's check digit is reckoned from its serial.

    The algorithms are described one by one in ``parcelhook.numbers``. ``weights`` repeat, beginning at the end named
    by ``direction``. ``prepend`` is put before the serial unless the serial matches ``prepend_unless``. ``letters``
    gives letters the value (ASCII code - 3) mod 10.
    """

    algorithm: Literal["mod10_weighted", "luhn", "mod7", "s10", "weighted_mod11_mod10", "iso7064_mod37_36"]
    weights: tuple[int, ...] = ()
    direction: Literal["left", "right"] = "left"
    offset: int = 0
    prepend: str = ""
    prepend_unless: str | None = None
    letters: bool = False

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.algorithm in {"mod10_weighted", "weighted_mod11_mod10"} and not self.weights:
            msg = f"{self.algorithm} needs weights, for example weights = [3, 1]"
            raise ValueError(msg)
        return self


class RankOverride(Model):
    """Another rank for numbers that match a pattern (searched in the normalised number)."""

    pattern: Pattern
    rank: Annotated[int, Field(ge=0, le=100)]


class NumberFormat(Model):
    r"""A shape of tracking numbers, matched whole against the normalised number.

    The pattern's group ``serial`` is what the check digit in group ``check`` is reckoned from; a group ``prefix`` marks
    literal text that only this carrier uses. ``rank`` (0 to 100) orders candidates and, divided by 100, is their
    confidence: it defaults to 90 for a prefix and a check digit, 70 for a prefix, 50 for a check digit, 20 for a
    length. Below rank 5 a format counts only when its carrier is named. ``lengths`` are the only lengths that match
    (empty: whatever the pattern takes), and let a number be told quickly. ``s10`` stands instead of a pattern for the
    Universal Postal Union's S10 numbers (two letters, eight digits, check digit, country) of the listed countries.
    """

    service: str
    id: str = ""
    pattern: Pattern = ""
    lengths: tuple[Annotated[int, Field(ge=1, le=100)], ...] = ()
    s10: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ()
    check_digit: CheckDigit | None = None
    rank: Annotated[int, Field(ge=0, le=100)] = -1
    rank_overrides: tuple[RankOverride, ...] = ()
    canonical: bool = False

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        if bool(self.pattern) == bool(self.s10):
            msg = "needs either a pattern or s10 countries"
            raise ValueError(msg)
        groups = re.compile(self.pattern).groupindex
        if self.check_digit and not {"serial", "check"} <= set(groups):
            msg = "has a check_digit, so its pattern needs the groups (?P<serial>...) and (?P<check>...)"
            raise ValueError(msg)
        if "rank" not in self.model_fields_set:
            literal, checked = bool(self.s10) or "prefix" in groups, bool(self.s10) or self.check_digit is not None
            object.__setattr__(self, "rank", {(1, 1): 90, (1, 0): 70, (0, 1): 50, (0, 0): 20}[literal, checked])
        return self


class StatusRow(Model):
    """What a code means. ``info`` rows say nothing about the status; ``ask`` rows let the plug-in's hook decide first.

    In TOML a row is a status (``"delivered"``), ``"info"``, or ``{ status = "exception", reason = "address" }``.
    """

    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    info: bool = False
    ask: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, row: object) -> object:
        if isinstance(row, str):
            return {"info": True} if row == "info" else {"status": row}
        if isinstance(row, dict) and row.get("status") == "info":
            return {**{name: value for name, value in row.items() if name != "status"}, "info": True}
        return row


class TextRule(Model):
    """A status read out of a scan's text, where the code alone is too coarse; the first rule that fits refines the row.

    ``contains`` and ``starts_with`` are compared in lower case with the description (and the texts in ``extra`` named
    by ``fields``). ``when_status`` and ``when_code`` limit the rule to rows of that status, or scans of that code.
    """

    contains: tuple[str, ...] = ()
    starts_with: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    when_status: tuple[Status, ...] = ()
    when_code: tuple[str, ...] = ()
    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    info: bool = False


class Quota(Model):
    """How many calls a carrier allows one account in a window of seconds."""

    calls: Annotated[int, Field(ge=1)]
    seconds: Annotated[int, Field(ge=1)]


class Carrier(Model):
    """A carrier: everything parcelhook knows of it as data.

    ``link`` is an https template with ``{number}`` and, where the page wants them, ``{postal_code}``, ``{country}`` and
    ``{locale}``; ``landing_page`` is the page for a shipment whose postal code is missing, or whose carrier's page
    takes no number. ``link_hosts`` are further hosts a link hook may lead to. ``statuses`` maps a scan's code, or
    ``code/further code``, to a row; ``status_tables`` maps codes found in a scan's ``extra`` field of that name, and
    ``status_order`` says which table is asked first (those it leaves out come last). Codes are compared as
    ``comparable_code`` gives them, with ``code_width``. ``host`` is the API's base URL; ``time_zone`` the home zone for
    times that state none.
    """

    api: int = 1
    id: Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    countries: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ()
    wix_provider: WixProvider | None = None
    link: str | None = None
    landing_page: str | None = None
    link_hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")], ...] = ()
    locales: tuple[str, ...] = ()
    numbers: tuple[NumberFormat, ...] = ()
    code_width: Annotated[int, Field(ge=0, le=20)] = 0
    statuses: Mapping[str, StatusRow] = {}
    status_tables: Mapping[str, Mapping[str, StatusRow]] = {}
    status_order: tuple[str, ...] = ("code",)
    status_texts: tuple[TextRule, ...] = ()
    capabilities: frozenset[Capability] = frozenset()
    host: str | None = None
    test_host: str | None = None
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 1
    quota: Quota | None = None
    time_zone: str | None = None
    settings: type[BaseModel] | None = None

    @classmethod
    def load(cls, package: str | None, *, settings: type[BaseModel] | None = None) -> Carrier:
        """Load ``carrier.toml`` of a package, as in ``Carrier.load(__package__)``.

        ``settings`` is the model of what an operator configures under ``[carriers.ID]``; raise InvalidCarrier, with
        file and line, for any mistake.
        """
        return cls.load_all(package, file="carrier.toml", settings=settings)[0]

    @classmethod
    def load_all(
        cls, package: str | None, *, file: str = "carriers.toml", settings: type[BaseModel] | None = None
    ) -> tuple[Carrier, ...]:
        """Load all ``[[carrier]]`` tables of a package's file; a file without such tables is one carrier."""
        text = resources.files(package or "").joinpath(file).read_text(encoding="utf-8")
        return cls._from_definition(Definition.parse(text, where=f"{package}/{file}"), settings=settings)

    @classmethod
    def read(cls, path: Path) -> tuple[Carrier, ...]:
        """Read the carrier, or the ``[[carrier]]`` tables, of a TOML file an operator wrote."""
        return cls._from_definition(Definition.read(path), settings=None)

    @classmethod
    def _from_definition(cls, definition: Definition, *, settings: type[BaseModel] | None) -> tuple[Carrier, ...]:
        tables = definition.data.get("carrier")
        many = isinstance(tables, list)
        carriers = []
        for index, table in enumerate(tables if isinstance(tables, list) else [definition.data]):
            if not isinstance(table, dict):
                where = f"{definition.where}:{definition.line_of(('carrier', index))}"
                msg = f"{where}: is no [[carrier]] table"
                raise InvalidCarrier(msg, where=where)
            _check_api(definition, table.get("api", 1), ("carrier", index, "api") if many else ("api",))
            try:
                carriers.append(cls.model_validate({**table, "settings": settings}))
            except ValidationError as error:
                raise _mistake(definition, error, ("carrier", index) if many else ()) from error
        if not carriers:
            msg = f"{definition.where}:1: defines no carrier"
            raise InvalidCarrier(msg, where=f"{definition.where}:1")
        return tuple(carriers)

    @field_validator("link", "landing_page")
    @classmethod
    def _template_is_safe(cls, template: str | None) -> str | None:
        if template is not None:
            _check_template(template)
        return template

    @field_validator("link")
    @classmethod
    def _link_holds_number(cls, template: str | None) -> str | None:
        if template is not None and "{number}" not in template:
            msg = "has no {number}; a page that takes no number is a landing_page"
            raise ValueError(msg)
        return template

    @field_validator("host", "test_host")
    @classmethod
    def _host_is_url(cls, host: str | None) -> str | None:
        if host is not None:
            parts = urlsplit(host)
            if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
                msg = "must be an https URL like https://api.acme.example"
                raise ValueError(msg)
        return host

    @field_validator("time_zone")
    @classmethod
    def _time_zone_exists(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError) as error:
                msg = "is no time zone; write it like America/Toronto"
                raise ValueError(msg) from error
        return name

    @model_validator(mode="after")
    def _codes_are_unambiguous(self) -> Self:
        tables: list[tuple[tuple[str, ...], Mapping[str, StatusRow]]] = [(("statuses",), self.statuses)]
        tables += [(("status_tables", name), rows) for name, rows in self.status_tables.items()]
        for location, rows in tables:
            seen: dict[str, str] = {}
            for code, row in rows.items():
                other = seen.setdefault(comparable_code(code, width=self.code_width), code)
                if rows[other] != row:
                    msg = 'gives the code "{code}" two meanings (also as "{other}")'
                    context = {"code": code, "other": other, "location": (*location, code)}
                    raise PydanticCustomError("two_meanings", msg, context)
        return self

    @model_validator(mode="after")
    def _locales_are_listed(self) -> Self:
        if not self.locales and any("{locale}" in template for template in (self.link, self.landing_page) if template):
            msg = "has {locale} in a link, so it needs locales, the default first, for example locales = ['en']"
            raise ValueError(msg)
        return self

    @property
    def hosts(self) -> frozenset[str]:
        """Give the hosts a tracking link of this carrier may lead to, in lower case."""
        templates = (urlsplit(template).hostname for template in (self.link, self.landing_page) if template)
        return frozenset(host for host in templates if host) | {host.lower() for host in self.link_hosts}


def comparable_code(code: str, *, width: int = 0) -> str:
    """Give a carrier's code as it is compared: trimmed, upper case, numbers padded with zeros to ``width``.

    The parts of ``code/further code`` are treated one by one.
    """
    parts = (part.strip().upper() for part in code.split("/"))
    return "/".join(part.zfill(width) if part.isdecimal() and part.isascii() else part for part in parts)


def _check_api(definition: Definition, api: object, location: tuple[str | int, ...]) -> None:
    """Check the version before anything else: of another version every other complaint would mislead."""
    if isinstance(api, int) and api not in API_VERSIONS:
        where = f"{definition.where}:{definition.line_of(location)}"
        known = ", ".join(map(str, API_VERSIONS))
        msg = f"{where}: is written for API version {api}; this parcelhook understands {known}"
        raise UnsupportedApi(msg, where=where, what_to_do="Update parcelhook, or use an older release of the plug-in.")


def _check_template(template: str) -> None:
    for literal, name, spec, conversion in Formatter().parse(template):
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            msg = f"holds {{{name}}}; known are {', '.join(sorted(PLACEHOLDERS))}"
            raise ValueError(msg)
        if not URL_CHARACTERS.fullmatch(literal):
            msg = "holds a character that must be percent-encoded in a URL"
            raise ValueError(msg)
    parts = urlsplit(template)
    if parts.scheme != "https":
        msg = "must begin with https://"
        raise ValueError(msg)
    if not parts.hostname or "{" in parts.netloc or parts.username is not None:
        msg = "must name its host literally, without a placeholder or a user"
        raise ValueError(msg)
    if not HOST_NAME.fullmatch(parts.hostname) or parts.port not in {None, 443}:
        msg = "must name its host as a plain domain, with no port"
        raise ValueError(msg)


def _mistake(definition: Definition, error: ValidationError, prefix: tuple[str | int, ...]) -> InvalidCarrier:
    # A key with a typing mistake is often reported as missing too, and that says less.
    first = min(error.errors(), key=lambda each: each["type"] != UNKNOWN_KEY)
    # A check that spans several fields says in its context which one to look at.
    parts = (*first["loc"], *first.get("ctx", {}).get("location", ()))
    location = (*prefix, *(part for part in parts if not str(part).startswith("function")))
    where = f"{definition.where}:{definition.line_of(location)}"
    field = ".".join(str(part) for part in location) or "the carrier"
    is_key = first["type"] == UNKNOWN_KEY and len(first["loc"]) == 1
    near = did_you_mean(str(location[-1]), Carrier.model_fields) if is_key else ""
    msg = f"{where}: {field}: {plain(first)}{near}"
    return InvalidCarrier(msg, where=where, what_to_do=f"Correct {field} in {definition.where}.")
