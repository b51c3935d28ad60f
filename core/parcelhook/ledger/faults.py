"""What a database's error means for an operator: a LedgerError that says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from parcelhook.errors import LedgerError

_LOCKED: Final = ("is locked by another process", "Stop whatever holds it open, or wait and try again.")
_READ_ONLY: Final = ("cannot be written", "Give parcelhook's user write access to the file and its folder.")
_NOT_OURS: Final = ("is no parcelhook ledger, or is damaged", "Name another database, or restore a backup.")
_FULL: Final = ("cannot grow: the disk is full", "Free some disk space; nothing was lost.")
_UNREACHABLE: Final = ("does not answer", "Check that the server runs and that host, port and user are right.")
_REFUSED: Final = ("refuses the login", "Check user, password and database in PARCELHOOK_DATABASE_URL.")

_SQLITE: Final[Mapping[str, tuple[str, str]]] = {
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_PROTOCOL": _LOCKED,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        "Check that it is a file, and that parcelhook's user may write to it and its folder.",
    ),
    "SQLITE_NOTADB": _NOT_OURS,
    "SQLITE_CORRUPT": _NOT_OURS,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": ("cannot be read or written: the disk reports an error", "Check the disk and the system log."),
}

# SQLSTATE codes and classes, after PostgreSQL's documentation, "Appendix A. PostgreSQL Error Codes".
_POSTGRES: Final[Mapping[str, tuple[str, str]]] = {
    "08": _UNREACHABLE,
    "57": _UNREACHABLE,
    "28": _REFUSED,
    "3D": ("does not exist", "Create the database, or correct PARCELHOOK_DATABASE_URL."),
    "25006": ("is read-only", "Connect to the primary server, with a user who may write."),
    "42501": ("cannot be written", "Grant parcelhook's user the right to create and write tables."),
    "42P01": _NOT_OURS,
    "42P07": _NOT_OURS,
    "53100": _FULL,
    "53300": ("takes no more connections", "Raise max_connections, or run fewer processes."),
    "40": _LOCKED,
    "55P03": _LOCKED,
}

_RETRYABLE: Final = (_LOCKED, _UNREACHABLE)


def translate(error: sa.exc.SQLAlchemyError, *, where: str) -> LedgerError:
    """Turn a database's error into ours; ``where`` is the ledger's URL without its password."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    meaning = _meaning(cause)
    happened, what_to_do = meaning or (f"reports: {cause}", "Run parcelhook doctor.")
    msg = f"the ledger {where} {happened}"
    fault = LedgerError(msg, where=where, what_to_do=what_to_do)
    fault.retryable = meaning in _RETRYABLE
    return fault


def _meaning(cause: BaseException | None) -> tuple[str, str] | None:
    if isinstance(cause, sqlite3.Error):
        # Extended codes carry a suffix: SQLITE_IOERR_WRITE, SQLITE_READONLY_DBMOVED.
        name = "_".join(getattr(cause, "sqlite_errorname", "").split("_")[:2])
        is_foreign = "no such table" in str(cause) or "already exists" in str(cause)
        return _NOT_OURS if is_foreign else _SQLITE.get(name)
    if isinstance(cause, sa.exc.TimeoutError):
        return _LOCKED
    if cause is None or not hasattr(cause, "sqlstate"):
        return None
    state = cause.sqlstate
    if state is None:
        return _login_meaning(str(cause))
    return _POSTGRES.get(state) or _POSTGRES.get(state[:2])


def _login_meaning(message: str) -> tuple[str, str]:
    """Read why a connection was not opened; libpq gives no code for it."""
    if "does not exist" in message and "database" in message:
        return _POSTGRES["3D"]
    if "authentication" in message or "password" in message or "role" in message or "pg_hba" in message:
        return _REFUSED
    return _UNREACHABLE
