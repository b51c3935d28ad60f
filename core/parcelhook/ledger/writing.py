"""Write many rows of one shape in one statement, without what SQLAlchemy does anew for each row.

A file of ten thousand orders writes a hundred thousand rows, and putting their parameters together took longer than
the database needs to write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

Row: TypeAlias = Mapping[str, Any]

_MARKS: Final = {"qmark": "?", "format": "%s", "pyformat": "%s"}


def insert_all(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, leaves_existing: bool = False
) -> int:
    """Insert rows that name the same columns, and give how many; with ``leaves_existing``, not those whose key exists.

    A column that they do not name gets its default.
    """
    if not rows:
        return 0
    names = tuple(rows[0])
    defaults = {name: value for name, value in _defaults(table).items() if name not in names}
    prepared = _insert(connection.dialect, table, (*names, *defaults), leaves_existing=leaves_existing)
    return _execute(connection, prepared, rows if not defaults else [{**row, **defaults} for row in rows])


def update_all(connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, key: str) -> int:
    """Update the rows that have these keys with what else is named, the same in each; give how many there were."""
    names = tuple(name for name in rows[0] if name != key)
    return _execute(connection, _update(connection.dialect, table, names, key), rows)


class _Prepared:
    """A statement, and how each of its values goes to the driver."""

    def __init__(self, dialect: sa.Dialect, table: sa.Table, text: str, names: Sequence[str]) -> None:
        self.text = text
        self.names = tuple(names)
        processors = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
        self.processors = {name: processor for name, processor in processors.items() if processor}


def _execute(connection: sa.Connection, prepared: _Prepared, rows: Sequence[Row]) -> int:
    processors, names = prepared.processors, prepared.names
    values = [
        tuple([processors[name](row[name]) if name in processors else row[name] for name in names]) for row in rows
    ]
    return connection.exec_driver_sql(prepared.text, values).rowcount


@lru_cache(maxsize=64)
def _defaults(table: sa.Table) -> dict[str, Any]:
    return {column.name: column.default.arg for column in table.c if isinstance(column.default, sa.ColumnDefault)}


@lru_cache(maxsize=256)
def _insert(dialect: sa.Dialect, table: sa.Table, names: tuple[str, ...], *, leaves_existing: bool) -> _Prepared:
    quote, mark = dialect.identifier_preparer.quote, _MARKS[dialect.paramstyle]
    columns, marks = ", ".join(map(quote, names)), ", ".join([mark] * len(names))
    text = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"  # noqa: S608 - names of our own tables
    return _Prepared(dialect, table, text + " ON CONFLICT DO NOTHING" * leaves_existing, names)


@lru_cache(maxsize=256)
def _update(dialect: sa.Dialect, table: sa.Table, names: tuple[str, ...], key: str) -> _Prepared:
    quote, mark = dialect.identifier_preparer.quote, _MARKS[dialect.paramstyle]
    changes = ", ".join(f"{quote(name)} = {mark}" for name in names)
    text = f"UPDATE {quote(table.name)} SET {changes} WHERE {quote(key)} = {mark}"  # noqa: S608 - as above
    return _Prepared(dialect, table, text, (*names, key))
