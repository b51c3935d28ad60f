"""A file whose shipping was killed or stopped at any moment is shipped by the same command, each line exactly once."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from history_check import history_of, violations
from parcelhook.ledger import Ledger
from processes import GIVE_UP_SECONDS, SandboxProcess, Service, sandbox_process, spawn, wait_for

ORDERS = 250
RANDOM = Random(20_240_611)  # noqa: S311 - a repeatable choice, no secret

Json = dict[str, Any]


@pytest.fixture(scope="module")
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """Run one store for this file's tests."""
    with sandbox_process(tmp_path_factory.mktemp("store")) as served:
        yield served


@dataclass
class Work:
    """A file of some hundred orders, the command that ships it, and the ledger it writes."""

    sandbox: SandboxProcess
    service: Service
    orders: list[str]
    calls_before: int

    @contextmanager
    def begun(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the command, and give it once it has called Wix."""
        folder, before = self.service.folder, self.calls()
        log = folder / "run.log"
        told_before = log.stat().st_size if log.exists() else 0
        process = spawn(
            *("--json", "fulfill", "--file", "shipments.csv"),
            variables=self.service.variables,
            out=folder / "run.out",
            log=log,
        )

        def has_called() -> bool:
            # A call that an earlier process left behind may be counted only now: this one has warned before its first.
            return self.calls() > before and log.stat().st_size > told_before

        try:
            wait_for(lambda: has_called() or process.poll() is not None, what="the command calls Wix")
            yield process
        finally:
            process.kill()
            process.wait(GIVE_UP_SECONDS)

    def calls(self) -> int:
        """Count the calls about fulfillments that reached the store."""
        made: list[Json] = self.sandbox.control("GET", "calls")
        return sum("/ecom/" in str(call["path"]) for call in made)

    def delay(self, *, times: int, effect: str = "untold") -> None:
        """Let the next creates take long and end in a broken connection, with all they made."""
        self.sandbox.fault("bulk-create", effect=effect, delay=0.4, times=times)

    def told(self) -> Json:
        """Give what the command that was begun printed."""
        told: Json = json.loads((self.service.folder / "run.out").read_text())
        return told

    def finish(self) -> Json:
        """Run the same command to its end, and see that everything is shipped, once."""
        ended = self.service.run("--json", "fulfill", "--file", "shipments.csv")
        assert ended.returncode == 0, ended.stdout[:500] + ended.stderr
        summary: Json = json.loads(ended.stdout)
        assert summary["created"] + summary["existing"] == summary["total"] == len(self.orders)
        with closing(Ledger.open(self.service.variables["PARCELHOOK_DATABASE_URL"])) as ledger:
            history = history_of(
                self.sandbox, ledger, store="default", orders=self.orders, skip_calls=self.calls_before
            )
            assert violations(history) == []
        assert [len(its) for its in history.fulfillments.values()] == [1] * len(self.orders)
        return summary


@pytest.fixture
def work(store_process: SandboxProcess, tmp_path: Path) -> Iterator[Work]:
    """Give a file of orders of two carriers that nobody has shipped yet."""
    orders: list[str] = store_process.control("POST", "orders", {"count": ORDERS})["order_ids"]
    lines = ["order_id,carrier,tracking_number"]
    lines += [f"{its},{('ups', 'dhl')[place % 2]},N{its[:12]}" for place, its in enumerate(orders)]
    (tmp_path / "shipments.csv").write_text("\n".join(lines))
    service = Service(store_process, tmp_path, store_process.variables(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    yield Work(store_process, service, orders, len(store_process.control("GET", "calls")))
    store_process.control("DELETE", "faults")


def test_a_run_that_is_killed_loses_and_doubles_nothing(work: Work) -> None:
    """Whatever a kill -9, or a second Ctrl-C, cuts off, the ledger knows, and the next run asks Wix first."""
    work.delay(times=2)
    with work.begun() as process:
        time.sleep(RANDOM.uniform(0.0, 0.7))
        process.kill()
    with work.begun() as process:
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        assert process.wait(GIVE_UP_SECONDS) == 130

    assert "Traceback" not in (work.service.folder / "run.log").read_text()
    work.finish()


def test_a_run_that_is_interrupted_goes_on_where_it_was(work: Work) -> None:
    """Ctrl-C ends after the call under way, and tells what was not begun."""
    work.delay(times=1)
    with work.begun() as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(GIVE_UP_SECONDS) == 130

    told = work.told()
    assert told["not_begun"] == ORDERS - 100
    assert {each["state"] for each in told["items"]} == {"SENDING", "NOT_BEGUN"}
    assert "press Ctrl-C again to end at once" in (work.service.folder / "run.log").read_text()
    work.finish()


def test_a_run_that_is_killed_beside_a_service_is_finished_by_both(work: Work) -> None:
    """The service settles what the killed run left behind, the next run does the rest, and neither does it twice."""
    with work.service.serve():
        work.delay(times=1)
        with work.begun() as process:
            time.sleep(RANDOM.uniform(0.0, 0.5))
            process.kill()

        work.finish()
