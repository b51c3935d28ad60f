"""The ledger's fixtures: an empty ledger on each database, and a clock that stands still."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from ledger_samples import FakeClock
from parcelhook.ledger import Ledger
from parcelhook.ledger.schema import metadata


def in_schema(server: str, schema: str) -> str:
    """Give the URL of a schema in a PostgreSQL database."""
    url = sa.make_url(server).update_query_dict({"options": f"-csearch_path={schema}"})
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one empty ledger file, to be copied for each test."""
    path = tmp_path_factory.mktemp("ledger") / "template.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_schema(postgres_server: str) -> Iterator[str]:
    """Make one empty ledger in a schema of its own, to be emptied for each test, and drop it at the end."""
    name = f"ledger_{uuid4().hex[:12]}"
    admin = sa.create_engine(sa.make_url(postgres_server).set(drivername="postgresql+psycopg"))
    with admin.begin() as connection:
        connection.execute(sa.schema.CreateSchema(name))
    Ledger.open(in_schema(postgres_server, name)).close()
    yield in_schema(postgres_server, name)
    with admin.begin() as connection:
        connection.execute(sa.schema.DropSchema(name, cascade=True))
    admin.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty ledger, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.sqlite"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgres_schema")
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
    engine.dispose()
    return url


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands at noon."""
    return FakeClock()


@pytest.fixture
def ledger(ledger_url: str, clock: FakeClock) -> Iterator[Ledger]:
    """Open an empty ledger that knows the store ``default``."""
    with Ledger.open(ledger_url, clock=clock) as opened:
        opened.stores.ensure("default", site="site-1")
        yield opened
