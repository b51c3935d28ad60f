"""The fixtures of tests about flows: a store that was set up a moment ago, on a sandbox that a file's tests share."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from parcelhook.ledger import Ledger
from parcelhook.ledger.database import Database
from parcelhook.ledger.schema import metadata
from parcelhook.registry import Registry
from parcelhook.sandbox import Running, SandboxSettings, Switches, running
from shops import Shop, opened_on, registry_of


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one store for a file's tests; each makes orders of its own."""
    with running(SandboxSettings(rate_limit=0)) as served:
        yield served


@pytest.fixture(scope="module")
def registry(sandbox: Running) -> Iterator[Registry]:
    """Load the built-in carriers and the courier, which talks to the sandbox."""
    with registry_of(sandbox) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one empty ledger, to be copied for each test."""
    path = tmp_path_factory.mktemp("ledger") / "empty.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Give what runs one function in several threads at the same moment."""

    def run(act: Callable[[], object], *, times: int) -> list[Any]:
        barrier = threading.Barrier(times)

        def together(_: int) -> object:
            barrier.wait(10)
            return act()

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(together, range(times)))

    return run


@pytest.fixture(scope="module")
def database(empty_ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give one database for a file's tests, so that its statements are prepared once; each test gets it empty."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    shutil.copyfile(empty_ledger, path)
    with closing(Database(f"sqlite:///{path}")) as made:
        yield made


@pytest.fixture
def shop(sandbox: Running, registry: Registry, database: Database) -> Iterator[Shop]:
    """Give a store that was set up a moment ago and knows nothing yet."""
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(sa.delete(table))
    with opened_on(database, sandbox, registry) as made:
        yield made
        made.control("DELETE", "faults")
        made.control("PATCH", "switches", {switch.name: switch.default for switch in fields(Switches)})
