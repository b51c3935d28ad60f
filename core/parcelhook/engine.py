"""The durable engine: a flow that was started is carried on after a crash, in this process or the next.

DBOS Transact does the work behind this thin port, on a SQLite file beside the ledger or in a schema of the ledger's
PostgreSQL database. What a flow does is decided by the ledger alone, so its database can be deleted at any time: the
sweeper starts again whatever the ledger says is due. DBOS allows one engine a process; that singleton is its nature.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias
from uuid import uuid4

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID

from parcelhook.errors import LedgerError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
Flow: TypeAlias = Callable[..., Json]

APPLICATION_VERSION: Final = "2"
"""Flows of every parcelhook with this version may carry on each other's work; raised when a flow's arguments change."""

_current: Engine | None = None


class Engine:
    """Run named flows durably; a flow is a function of JSON values that may be called again after a crash.

    ``executor_id`` is stable for a service, so that it carries on its own work after a restart, and unique for a
    command. Errors a flow foresees are part of its answer; whatever it raises ends it and reaches ``run``'s caller.
    """

    def __init__(self, ledger_url: str, *, executor_id: str, flows: Mapping[str, Flow]) -> None:
        self._flows = dict(flows)
        self._database = _engine_database(ledger_url)
        self._executor_id = executor_id

    def __enter__(self) -> Self:
        self.launch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def launch(self) -> None:
        """Open the engine's database and carry on what this executor left unfinished.

        Raise LedgerError where the database cannot be used.
        """
        global _current  # noqa: PLW0603 - DBOS is one a process, and so are we
        if _current is not None:
            msg = "an engine runs in this process already"
            raise RuntimeError(msg)
        _keep_quiet()
        DBOS(
            config=DBOSConfig(
                name="parcelhook",
                system_database_url=self._database.url.render_as_string(hide_password=False),
                system_database_engine=self._database,
                dbos_system_schema="parcelhook_engine",
                application_version=APPLICATION_VERSION,
                executor_id=self._executor_id,
                enable_otlp=False,
                notification_listener_polling_interval_sec=0.1,
            )
        )
        _current = self
        try:
            DBOS.launch()
        except BaseException as error:
            self.close()
            if not isinstance(error, sa.exc.SQLAlchemyError):
                raise
            where = self._database.url.render_as_string(hide_password=True)
            msg = f"the engine's database {where} cannot be used: {type(error).__name__}"
            hint = "Check that it can be written. If it is damaged, delete it: it is made anew from the ledger."
            raise LedgerError(msg, where=where, what_to_do=hint) from error

    def run(self, flow: str, *arguments: Json) -> Json:
        """Start a flow and wait for its answer."""
        with SetWorkflowID(uuid4().hex):
            return DBOS.start_workflow(_run_flow, flow, list(arguments)).get_result(polling_interval_sec=0.05)

    def start(self, flow: str, *arguments: Json) -> None:
        """Start a flow and return at once."""
        with SetWorkflowID(uuid4().hex):
            DBOS.start_workflow(_run_flow, flow, list(arguments))

    def close(self) -> None:
        """Stop the engine; a flow that still runs is carried on by the next launch."""
        global _current  # noqa: PLW0603 - as above
        DBOS.destroy()
        self._database.dispose()
        _current = None

    def call(self, flow: str, arguments: Sequence[Json]) -> Json:
        """Call a flow in this thread; a flow of another version answers with None and is left to the sweeper."""
        function = self._flows.get(flow)
        return None if function is None else function(*arguments)


@DBOS.workflow(name="parcelhook.flow")
def _run_flow(flow: str, arguments: Sequence[Json]) -> Json:
    # Not a step of its own: carried on after a crash, a flow asks the ledger anew what is to be done.
    return None if _current is None else _current.call(flow, arguments)


def _keep_quiet() -> None:
    """Drop DBOS's own console handler: it holds on to the stderr of the moment it was imported."""
    logger = logging.getLogger("dbos")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.NullHandler())


def _engine_database(ledger_url: str) -> sa.Engine:
    url = sa.make_url(ledger_url)
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    ledger = Path(url.database or "parcelhook.sqlite")
    path = ledger.with_name(f"{ledger.stem}-engine{ledger.suffix or '.sqlite'}")
    # Like the ledger it is the operator's alone; where it cannot be made, opening it says so.
    with suppress(OSError):
        path.touch(mode=0o600)
    engine = sa.create_engine(url.set(database=str(path)))
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # Python's own transaction control would begin writers as readers, which SQLite cannot upgrade under load.
    connection.isolation_level = "IMMEDIATE"
    # SQLite before 3.42 has no unixepoch('subsec'), and DBOS writes it into the file as a column default.
    connection.create_function("unixepoch", -1, lambda *_: time.time())
    # After a power cut the last flows may be unknown here: the ledger, which is durable, starts them again.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 30000"):
        connection.execute(f"PRAGMA {pragma}")
