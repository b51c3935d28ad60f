"""What all of Wix's wire models share: extra fields ignored, null as good as absent, time in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from parcelhook.errors import InputError

JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object as Wix sends and takes it."""

_DEPTH = 6
_NAMED = 5
_ID = re.compile(r"[0-9A-Za-z_-]{1,100}")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        msg = "a time outside of the calendar"
        raise ValueError(msg) from None


UtcTime: TypeAlias = Annotated[datetime, AfterValidator(_in_utc)]
"""An aware time in UTC; Wix's times end in Z, and one without a zone is taken as UTC."""


class Wire(BaseModel):
    """Base of what Wix sends: camelCase names, unknown fields ignored, null and absent alike."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: object) -> object:
        """Treat null as absent: Wix leaves out what is empty, its SDKs send null."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


def places(error: ValidationError) -> str:
    """Name the first fields a validation error is about, and never their values: they may be a consignee's data."""
    names = [".".join(str(part) for part in detail["loc"][:_DEPTH]) or "body" for detail in error.errors()]
    return ", ".join(names[:_NAMED])


def checked_id(value: str, *, field: str) -> str:
    """Give an id that may stand in a path; raise InputError for one that Wix cannot have given."""
    if not _ID.fullmatch(value):
        msg = f"{value[:120]!r} is not an id Wix gives: 1 to 100 letters, digits, hyphens and underscores"
        raise InputError(msg, field=field, what_to_do="Take the id from the order or fulfillment itself.")
    return value
