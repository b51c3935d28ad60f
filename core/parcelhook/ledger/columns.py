"""Column types that read and write the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
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


class _Texts(sa.TypeDecorator[Collection[str]]):
    """Any number of texts as one parameter: JSON on SQLite, an array on PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Choose what the driver is given."""
        return dialect.type_descriptor(postgresql.ARRAY(sa.Text()) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Collection[str] | None, dialect: sa.Dialect) -> list[str] | str:
        """Give the texts as the database takes them."""
        texts = list(value or ())
        return texts if dialect.name == "postgresql" else json.dumps(texts)


class _Among(FunctionElement[Any]):
    name = "among"
    # Not Boolean: on SQLite that would be compared with 1, and then no index is used.
    type = sa.types.NULLTYPE
    inherit_cache = True


def among(column: sa.ColumnElement[str], texts: Collection[str] | sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """Tell whether a column holds one of many texts; unlike ``in_``, it is the same statement for however many.

    In a statement that is made once, ``some`` stands for the texts.
    """
    return _Among(column, texts if isinstance(texts, sa.BindParameter) else sa.bindparam(None, texts, type_=_Texts()))


def some(name: str) -> sa.BindParameter[Any]:
    """Name texts that are given when the statement is executed."""
    return sa.bindparam(name, type_=_Texts())


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - passed on
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - compiled parts


@compiles(_Among, "postgresql")
def _among_on_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - passed on
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY({texts})"
