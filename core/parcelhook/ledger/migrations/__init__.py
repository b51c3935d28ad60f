"""The ledger's versions, applied by alembic out of the installed package."""

from __future__ import annotations

from threading import Lock
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

# Alembic keeps the connection it works on in globals, so threads take turns, also where their databases differ.
_one_at_a_time: Final = Lock()


def upgrade(connection: sa.Connection) -> None:
    """Bring the tables up to the newest version, inside the connection's transaction."""
    with _one_at_a_time:
        command.upgrade(configuration(connection), "head")


def configuration(connection: sa.Connection) -> Config:
    """Give alembic's configuration, which lives in no file."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "parcelhook.ledger:migrations")
    config.set_main_option("path_separator", "os")
    return config
