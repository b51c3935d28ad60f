"""Opening a ledger: made, brought up to date, or refused with what to do about it."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger_processes import in_processes, open_new
from ledger_samples import execute, wanted
from parcelhook.errors import LedgerError
from parcelhook.ledger import Ledger, database, faults
from parcelhook.ledger.migrations import configuration
from parcelhook.ledger.schema import VERSION_TABLE, VERSIONS, metadata

pytest_plugins = ["ledger_databases"]


def refusal(url: str) -> LedgerError:
    """Give the error that opening a ledger ends with."""
    with pytest.raises(LedgerError) as refused:
        Ledger.open(url)
    assert refused.value.exit_code == 6
    assert refused.value.what_to_do
    return refused.value


def test_made_where_there_is_none(tmp_path: Path) -> None:
    """A new ledger is a file that its owner alone can read, and says what it is."""
    path = tmp_path / "new.sqlite"

    with Ledger.open(f"sqlite:///{path}") as ledger:
        described = ledger.check()
        is_postgres, url = ledger.is_postgres, ledger.url

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert described == f"SQLite {sqlite3.sqlite_version} (wal), sqlite:///{path}, version {VERSIONS[-1]}"
    assert (is_postgres, url) == (False, f"sqlite:///{path}")


@pytest.mark.postgres
def test_postgres_by_its_plain_url(postgres_url: str) -> None:
    """A ``postgresql://`` URL opens a new ledger in that database."""
    with Ledger.open(postgres_url) as ledger:
        assert ledger.is_postgres
        assert ledger.check().startswith("PostgreSQL ")


def test_kept_between_openings(ledger_url: str) -> None:
    """What was added before a ledger was closed is there when it is opened again."""
    with Ledger.open(ledger_url) as ledger:
        ledger.stores.ensure("default", site="site-1")
        row, _ = ledger.shipments.add(wanted())

    with Ledger.open(ledger_url) as ledger:
        assert ledger.shipments.get(row.id) == row


def test_migrations_make_the_tables(ledger_url: str) -> None:
    """The versions, applied one after the other, make exactly the tables of the schema."""
    engine = sa.create_engine(sa.make_url(ledger_url.replace("postgresql:", "postgresql+psycopg:")))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE.name})
        differences = compare_metadata(context, metadata)
        current = context.get_current_revision()
        script = ScriptDirectory.from_config(configuration(connection))
    engine.dispose()

    assert differences == []
    assert current == VERSIONS[-1]
    assert [revision.revision for revision in reversed(list(script.walk_revisions()))] == list(VERSIONS)


def test_opened_without_alembic(ledger_url: str) -> None:
    """A ledger that is up to date is opened without importing what only a migration needs."""
    program = (
        "import sys; from parcelhook.ledger import Ledger\n"
        "Ledger.open(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program, ledger_url], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_opened_first_by_several_processes(tmp_path: Path) -> None:
    """Processes that all find no ledger make one together."""
    url = f"sqlite:///{tmp_path / 'new.sqlite'}"

    described = in_processes(open_new, (url,), (url,), (url,))

    assert len(set(described)) == 1


def test_opened_first_while_another_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An opening that cannot have the file for itself yet tries again until it can."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.02)
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("CREATE TABLE other (id INTEGER)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM other").fetchall()
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(open_new, f"sqlite:///{path}")
            with pytest.raises(TimeoutError):
                opening.result(0.2)
            reader.execute("COMMIT")

            assert "(wal)" in opening.result(10)


def test_a_file_that_cannot_be_switched_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another holds on to the file for too long, opening it ends with what to do."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.01)
    monkeypatch.setattr(database, "_SWITCHED_WITHIN", 0.05)
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("CREATE TABLE other (id INTEGER)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM other").fetchall()

        with pytest.raises(LedgerError) as refused:
            Ledger.open(f"sqlite:///{path}")

    assert refused.value.what_to_do


def test_opened_first_by_several_threads(tmp_path: Path) -> None:
    """Openings that meet at the very first moment all succeed."""
    together = Barrier(6)

    def open_one(number: int) -> str:
        together.wait()
        return open_new(f"sqlite:///{tmp_path / f'{number // 3}.sqlite'}")

    with ThreadPoolExecutor(6) as pool:
        described = list(pool.map(open_one, range(6)))

    assert len(set(described)) == 2


@pytest.mark.postgres
def test_opened_first_by_several_threads_on_postgres(postgres_url: str) -> None:
    """Openings of one empty PostgreSQL database at the same moment all succeed."""
    together = Barrier(4)

    def open_one(_: int) -> str:
        together.wait()
        return open_new(postgres_url)

    with ThreadPoolExecutor(4) as pool:
        described = list(pool.map(open_one, range(4)))

    assert len(set(described)) == 1


def test_newer_version(ledger_url: str) -> None:
    """A ledger that a newer parcelhook wrote is refused, and left as it is."""
    execute(ledger_url, f"UPDATE {VERSION_TABLE.name} SET version_num = '9999'")  # noqa: S608
    refused = refusal(ledger_url)
    execute(ledger_url, f"UPDATE {VERSION_TABLE.name} SET version_num = '{VERSIONS[-1]}'")  # noqa: S608

    assert "newer parcelhook" in refused.message
    assert "9999" in refused.message
    assert "Upgrade" in refused.what_to_do


def test_garbage_file(tmp_path: Path) -> None:
    """A file that is no database is refused and not touched."""
    path = tmp_path / "garbage.sqlite"
    path.write_bytes(b"this is no database at all, and long enough to be taken for one" * 40)
    before = path.read_bytes()

    refused = refusal(f"sqlite:///{path}")

    assert "no parcelhook ledger" in refused.message
    assert path.read_bytes() == before


def test_database_of_another_program(tmp_path: Path) -> None:
    """A database that has other tables under our names is refused, and keeps them."""
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    execute(url, "CREATE TABLE store (name TEXT)")

    refused = refusal(url)

    assert "no parcelhook ledger" in refused.message
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        execute(url, "CREATE TABLE store (name TEXT)")


def test_missing_folder(tmp_path: Path) -> None:
    """A missing folder is named, and not made in silence."""
    refused = refusal(f"sqlite:///{tmp_path / 'missing' / 'ledger.sqlite'}")

    assert str(tmp_path / "missing") in refused.message
    assert "mkdir" in refused.what_to_do
    assert not (tmp_path / "missing").exists()


def test_folder_instead_of_file(tmp_path: Path) -> None:
    """A folder cannot be opened as a ledger."""
    assert "cannot be opened" in refusal(f"sqlite:///{tmp_path}").message


def test_read_only_file(tmp_path: Path) -> None:
    """A ledger that cannot be written is refused when it is opened, not when the first order is lost."""
    path = tmp_path / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()

    refused = refusal(f"sqlite:///file:{path}?mode=ro&uri=true")

    assert "cannot be written" in refused.message
    assert "write access" in refused.what_to_do


def test_full_disk(tmp_path: Path) -> None:
    """A full disk is told as such, and what was being written is undone."""
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        ledger.stores.ensure("default", site="site-1")

        @sa.event.listens_for(ledger._database._engine, "checkout")
        def limit(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute("PRAGMA max_page_count = 60")

        with pytest.raises(LedgerError, match="disk is full"):
            ledger.shipments.add_all([wanted(f"order-{n}") for n in range(150)])

        assert ledger.shipments.find() == []


def test_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that another process holds on to is told as such, and a retry can help."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(LedgerError, match="locked") as refused:
            ledger.stores.ensure("default", site="site-1")

        other.execute("ROLLBACK")
        other.close()
        assert refused.value.retryable
        assert ledger.stores.ensure("default", site="site-1").id == "default"


def test_damaged_file(tmp_path: Path) -> None:
    """A ledger whose pages were overwritten does not pass the check."""
    path = tmp_path / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)

    with pytest.raises(LedgerError, match=r"damaged"), Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.check()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("mysql://user@localhost/name", "mysql"),
        ("no url at all", "cannot be read"),
        ("postgresql://user:secret@127.0.0.1:1/name", "does not answer"),
    ],
)
def test_url_that_leads_nowhere(url: str, message: str) -> None:
    """A URL that cannot be a ledger is refused with the reason, and its password is not shown."""
    refused = refusal(url)

    assert message in refused.message
    assert "secret" not in refused.message + refused.where


@pytest.mark.postgres
def test_missing_postgres_database(postgres_server: str) -> None:
    """A database that the server does not have is told as such."""
    url = sa.make_url(postgres_server).set(database="no_such_database").render_as_string(hide_password=False)

    assert "does not exist" in refusal(url).message


@pytest.mark.postgres
def test_postgres_connection_lost(ledger_url: str) -> None:
    """A ledger goes on after its server closed every connection."""
    with Ledger.open(ledger_url) as ledger:
        ledger.stores.ensure("default", site="site-1")
        if ledger.is_postgres:
            execute(
                ledger_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND datname = current_database() AND query LIKE '%ledger_version%'",
            )

        assert ledger.stores.get("default").site == "site-1"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("53100", "disk is full"),
        ("25006", "read-only"),
        ("42501", "cannot be written"),
        ("40P01", "locked"),
        ("57P01", "does not answer"),
        ("28P01", "refuses the login"),
        ("53300", "no more connections"),
        ("22012", "reports"),
    ],
)
def test_postgres_errors(state: str, message: str) -> None:
    """Each error of PostgreSQL that an operator can meet says what happened."""
    cause = type("ServerError", (Exception,), {"sqlstate": state})("as the server said it")
    error = sa.exc.OperationalError("SELECT 1", None, cause)

    assert message in faults.translate(error, where="postgresql://example").message
