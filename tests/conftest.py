"""What every test shares: no network outside loopback, and databases to talk to."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlalchemy as sa
import structlog
from hypothesis import settings

from parcelhook.logs import HANDLER

POSTGRES = "postgresql://root@127.0.0.1:5432/test"

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Leave logging as it was: a service that ran in this process set it up for all that comes after."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if each.name == HANDLER]:
        root.removeHandler(handler)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def checked(self: socket.socket, address: tuple[str, int] | str | bytes) -> None:
        if isinstance(address, tuple):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                msg = f"a test tried to reach {host}"
                raise AssertionError(msg)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """Give the URL of a PostgreSQL server, or skip with the reason."""
    url = os.environ.get("PARCELHOOK_TEST_POSTGRES_URL")
    if url:
        return url
    try:
        socket.create_connection(("127.0.0.1", 5432), timeout=1).close()
    except OSError:
        pytest.skip("PARCELHOOK_TEST_POSTGRES_URL is not set and no server answers on 127.0.0.1:5432")
    return POSTGRES


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Make a database for one test and drop it afterwards."""
    name = f"parcelhook_{uuid4().hex[:12]}"
    admin = sa.create_engine(
        sa.make_url(postgres_server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield sa.make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
