"""The durable engine carries on what was started, whoever stops in between."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from parcelhook.engine import Engine, Json
from parcelhook.errors import LedgerError


def _sum(first: int, second: int) -> Json:
    return {"sum": first + second}


def test_a_flow_answers_with_what_its_function_gives(tmp_path: Path) -> None:
    """Running a flow gives its function's answer."""
    with Engine(f"sqlite:///{tmp_path}/ledger.sqlite", executor_id="test", flows={"sum": _sum}) as engine:
        assert engine.run("sum", 1, 2) == {"sum": 3}


def test_the_engine_keeps_its_own_file_beside_the_ledger(tmp_path: Path) -> None:
    """The engine's database is another file than the ledger, journaled ahead of writing."""
    with Engine(f"sqlite:///{tmp_path}/ledger.sqlite", executor_id="test", flows={}):
        pass

    assert not (tmp_path / "ledger.sqlite").exists()
    with sqlite3.connect(tmp_path / "ledger-engine.sqlite") as database:
        mode = database.execute("PRAGMA journal_mode").fetchone()
    database.close()
    assert mode == ("wal",)


def test_a_second_engine_in_one_process_is_refused(tmp_path: Path) -> None:
    """One process has one engine."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    with Engine(url, executor_id="test", flows={}), pytest.raises(RuntimeError, match="already"):
        Engine(url, executor_id="other", flows={}).launch()


def test_an_engine_can_follow_another_in_one_process(tmp_path: Path) -> None:
    """After close, a new engine with other flows can be launched."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    with Engine(url, executor_id="test", flows={"sum": _sum}) as engine:
        engine.run("sum", 1, 2)
    with Engine(url, executor_id="test", flows={"other": lambda: "done"}) as engine:
        assert engine.run("other") == "done"


def test_an_engine_that_could_not_be_launched_leaves_room_for_another(tmp_path: Path) -> None:
    """After a launch that failed, the process can have an engine."""
    (tmp_path / "ledger-engine.sqlite").write_bytes(b"this is no database, and long enough to be none" * 99)
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    with pytest.raises(LedgerError, match="cannot be used"):
        Engine(url, executor_id="test", flows={}).launch()
    (tmp_path / "ledger-engine.sqlite").unlink()

    with Engine(url, executor_id="test", flows={"sum": _sum}) as engine:
        assert engine.run("sum", 1, 2) == {"sum": 3}


def test_an_error_a_flow_did_not_foresee_reaches_the_caller(tmp_path: Path) -> None:
    """What a flow raises is raised where it was run."""

    def broken() -> Json:
        msg = "not foreseen"
        raise ValueError(msg)

    with (
        Engine(f"sqlite:///{tmp_path}/ledger.sqlite", executor_id="test", flows={"broken": broken}) as engine,
        pytest.raises(ValueError, match="not foreseen"),
    ):
        engine.run("broken")


def test_the_engine_database_can_be_deleted(tmp_path: Path) -> None:
    """An engine starts from nothing when its database is gone."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    with Engine(url, executor_id="test", flows={"sum": _sum}) as engine:
        engine.run("sum", 1, 2)
    for file in tmp_path.iterdir():
        file.unlink()

    with Engine(url, executor_id="test", flows={"sum": _sum}) as engine:
        assert engine.run("sum", 2, 2) == {"sum": 4}


KILLED = """
import os, signal, sys
from parcelhook.engine import Engine

def flow(path):
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    open(path + ".done", "w").close()
    return "done"

with Engine(sys.argv[1], executor_id="service", flows={"flow": flow}) as engine:
    if sys.argv[3] == "start":
        engine.run("flow", sys.argv[2])
    import time
    deadline = time.monotonic() + 20
    while not os.path.exists(sys.argv[2] + ".done") and time.monotonic() < deadline:
        time.sleep(0.02)
"""


def test_a_flow_killed_in_the_middle_is_carried_on_by_the_next_launch(tmp_path: Path) -> None:
    """A flow whose process was killed runs again when the same executor launches."""
    command = [sys.executable, "-c", KILLED, f"sqlite:///{tmp_path}/ledger.sqlite", str(tmp_path / "mark")]

    first = subprocess.run([*command, "start"], check=False, env=os.environ)
    second = subprocess.run([*command, "wait"], check=False, env=os.environ)

    assert first.returncode == -signal.SIGKILL
    assert second.returncode == 0
    assert (tmp_path / "mark.done").exists()


@pytest.mark.postgres
def test_the_engine_runs_in_a_schema_of_its_own_on_postgresql(postgres_url: str) -> None:
    """On PostgreSQL the engine shares the ledger's database."""
    with Engine(postgres_url, executor_id="test", flows={"sum": _sum}) as engine:
        assert engine.run("sum", 1, 2) == {"sum": 3}
