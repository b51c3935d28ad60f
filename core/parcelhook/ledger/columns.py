"""Column types that read and write the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

NamesT = TypeVar("NamesT", bound=StrEnum)


class UtcTime(sa.TypeDecorator[datetime]):
    """A moment in UTC: ISO text on SQLite (which sorts as time does), ``timestamptz`` on PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Choose what the database stores."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | str | None:
        """Refuse a naive time with ValueError, for nobody could tell which moment it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"a time without a time zone cannot be stored: {value}"
            raise ValueError(msg)
        return value.astimezone(UTC) if dialect.name == "postgresql" else _text(value)

    def process_result_value(self, value: datetime | str | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Give back an aware time in UTC."""
        if value is None:
            return None
        return _moment(value) if isinstance(value, str) else value.astimezone(UTC)


# Rows are written and read by the hundred, and most of their times are the same few.
@lru_cache(maxsize=256)
def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


@lru_cache(maxsize=1024)
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class Names(sa.TypeDecorator[NamesT], Generic[NamesT]):
    """A member of a StrEnum, stored as its text."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, names: type[NamesT]) -> None:
        super().__init__()
        self.names = names

    def process_bind_param(self, value: NamesT | str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Refuse with ValueError a text that is no member."""
        return value.value if isinstance(value, self.names) else None if value is None else self.names(value).value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> NamesT | None:  # noqa: ARG002
        """Give back the member."""
        return None if value is None else self.names(value)
