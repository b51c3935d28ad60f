"""The ledger's database: opened, brought up to date, and reached through one reading and one writing door."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from parcelhook.errors import LedgerError
from parcelhook.ledger.faults import translate
from parcelhook.ledger.schema import VERSION_TABLE, VERSIONS

DEFAULT_URL: Final = "sqlite:///parcelhook.sqlite"

BUSY_TIMEOUT: Final = 20.0
"""Seconds a writer waits for its turn on SQLite."""

_CONNECT_TIMEOUT: Final = 10
_SWITCHED_WITHIN: Final = 20.0
_SWITCH: Final = "PRAGMA journal_mode = WAL"
_DO_NOT_WAIT: Final = sa.text("SET LOCAL synchronous_commit = off")
_MIGRATION_LOCK: Final = 0x70617263656C  # "parcel": any number will do that no other application locks


class Database:
    """A ledger's database; every error that leaves it is a LedgerError that says what to do.

    ``write`` takes its place in the queue of writers before it reads (BEGIN IMMEDIATE on SQLite), so that what it
    decides upon cannot change before it is written. ``read`` sees one moment and waits for nobody on SQLite.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.where = self.url.render_as_string(hide_password=True)
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        self._engine = _postgres_engine(self.url) if self.is_postgres else _sqlite_engine(self.url)
        self._writing = self._engine.execution_options(parcelhook_begin="BEGIN IMMEDIATE")
        noting = self._engine if self.is_postgres else _sqlite_engine(self.url, synchronous="NORMAL")
        self._noting = noting.execution_options(parcelhook_begin="BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()
        self._noting.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction that is durable once this block has ended, and undone if the block raises."""
        with self._translated(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def note(self) -> Iterator[sa.Connection]:
        """Open a transaction as ``write`` does, for what must outlive this process, and need not a power cut.

        The disk is not waited for: the next ``write`` makes it durable too.
        """
        with self._translated(), self._noting.begin() as connection:
            if self.is_postgres:
                connection.execute(_DO_NOT_WAIT)
            yield connection

    def insert_new(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """Begin an insert that leaves out rows whose key exists."""
        if self.is_postgres:
            return postgresql.insert(table).on_conflict_do_nothing()
        return sqlite.insert(table).on_conflict_do_nothing()

    def prepare(self) -> None:
        """Create the tables or bring them up to date, and make sure that they can be written."""
        if not self.is_postgres:
            self._use_wal()
        with self.read() as connection:
            version = self._version(connection)
        if version != VERSIONS[-1]:
            self._migrate()
        with self._translated(), self._writing.connect() as connection:
            # Rolled back: this only shows that a write is possible, before anything depends on one.
            connection.execute(sa.update(VERSION_TABLE).values(version_num=VERSION_TABLE.c.version_num))

    def check(self) -> str:
        """Describe the database in one line; raise LedgerError if it is damaged or cannot be reached."""
        with self.read() as connection:
            version = self._version(connection)
            if self.is_postgres:
                server = connection.execute(sa.text("SHOW server_version")).scalar_one()
                return f"PostgreSQL {server}, {self.where}, version {version}"
            found = connection.execute(sa.text("PRAGMA quick_check(1)")).scalar_one()
            journal = connection.execute(sa.text("PRAGMA journal_mode")).scalar_one()
        if found != "ok":
            msg = f"the ledger {self.where} is damaged: {found}"
            raise LedgerError(msg, where=self.where, what_to_do="Stop parcelhook and restore a backup.")
        return f"SQLite {sqlite3.sqlite_version} ({journal}), {self.where}, version {version}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise translate(error, where=self.where) from error
        except sa.exc.StatementError as error:
            # A value that its column refuses (a naive time) is the caller's mistake, and told as it was raised.
            raise error.orig or error from None

    def _version(self, connection: sa.Connection) -> str | None:
        """Give the tables' version or, in an empty database, None; raise LedgerError for a newer one."""
        if not sa.inspect(connection).has_table(VERSION_TABLE.name):
            return None
        version = connection.execute(sa.select(VERSION_TABLE.c.version_num)).scalar()
        if version is not None and version not in VERSIONS:
            msg = (
                f"the ledger {self.where} was written by a newer parcelhook (version {version}, known: {VERSIONS[-1]})"
            )
            raise LedgerError(msg, where=self.where, what_to_do="Upgrade parcelhook, or name another database.")
        return None if version is None else str(version)

    def _migrate(self) -> None:
        with self.write() as connection:
            if self.is_postgres:
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            # Another process may have done it while this one waited for its turn.
            if self._version(connection) == VERSIONS[-1]:
                return
            from parcelhook.ledger.migrations import upgrade  # noqa: PLC0415 - alembic takes long to import

            upgrade(connection)

    def _use_wal(self) -> None:
        """Switch the file to write-ahead logging, once in its life; SQLite keeps that in the file."""
        give_up_at = time.monotonic() + _SWITCHED_WITHIN
        with self._translated(), self._engine.connect() as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            while driver.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                try:
                    driver.execute(_SWITCH)
                except sqlite3.DatabaseError as error:
                    # Of two that switch at one moment, SQLite turns one away and does not let it wait.
                    if "locked" not in str(error) or time.monotonic() > give_up_at:
                        raise sa.exc.DatabaseError(_SWITCH, None, error) from error
                    time.sleep(0.02)


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        msg = "the database URL cannot be read"
        raise LedgerError(msg, what_to_do=f"Use {DEFAULT_URL} or postgresql://user@host/name.") from error
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        msg = f"a ledger cannot be kept in {parsed.drivername}"
        raise LedgerError(msg, what_to_do=f"Use {DEFAULT_URL} or postgresql://user@host/name.")
    return parsed


def _postgres_engine(url: sa.URL) -> sa.Engine:
    # Never prepared: PostgreSQL keeps a prepared plan that was made while a table was nearly empty, and a connection
    # pooler between us could not pass it on.
    connect_args = {"connect_timeout": _CONNECT_TIMEOUT, "prepare_threshold": None}
    return sa.create_engine(url, pool_pre_ping=True, connect_args=connect_args)


def _sqlite_engine(url: sa.URL, *, synchronous: str = "FULL") -> sa.Engine:
    _prepare_file(url)
    engine = sa.create_engine(url, max_overflow=-1, connect_args={"timeout": BUSY_TIMEOUT})

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
        connection.isolation_level = None  # BEGIN is ours, below
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("parcelhook_begin", "BEGIN"))

    return engine


def _prepare_file(url: sa.URL) -> None:
    """Make a new file readable by its owner only, for orders hold personal data; SQLite's side files follow it."""
    where = url.render_as_string()
    if not url.database or url.database == ":memory:":
        msg = "a ledger must outlive the process, so it cannot be kept in memory"
        raise LedgerError(msg, where=where, what_to_do=f"Name a file, for example {DEFAULT_URL}.")
    if url.database.startswith("file:"):
        return
    path = Path(url.database)
    if not path.parent.is_dir():
        msg = f"the folder {path.parent} of the ledger does not exist"
        raise LedgerError(msg, where=where, what_to_do=f"Create it (mkdir -p {path.parent}), or name another file.")
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        msg = f"the ledger {where} cannot be created: {error.strerror}"
        hint = "Give parcelhook's user write access, or name another file."
        raise LedgerError(msg, where=where, what_to_do=hint) from error
