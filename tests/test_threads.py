"""Threads that plug-ins run on: each call has its deadline, and what one call does is not another's to suffer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from parcelhook import threads
from parcelhook.threads import DeadlineExceeded, LoopThread, Outcome, ThreadStuck, WorkerThread

LONG = 30.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give what the calls of a test wait for; it is open once the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def worker(gate: threading.Event) -> Iterator[WorkerThread]:
    """Run a worker."""
    made = WorkerThread("worker-of-tests")
    yield made
    gate.set()
    made.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Give threads that calls are made from."""
    with ThreadPoolExecutor(2) as made:
        yield made


def started(
    worker: WorkerThread, gate: threading.Event, pool: ThreadPoolExecutor, deadline: float
) -> Future[Outcome[object]]:
    """Begin a call that lasts until the gate opens, and wait until the worker is at it."""
    running = threading.Event()

    def work() -> str:
        running.set()
        gate.wait(LONG)
        return "done"

    call = pool.submit(worker.call, work, deadline=deadline, label="first")
    assert running.wait(LONG)
    return call


def test_a_call_whose_turn_does_not_come_never_runs(
    worker: WorkerThread, gate: threading.Event, pool: ThreadPoolExecutor
) -> None:
    """A call that waited in vain is given up, leaves the one before it alone, and is not made later."""
    first, ran = started(worker, gate, pool, LONG), list[str]()

    with pytest.raises(DeadlineExceeded):
        worker.call(lambda: ran.append("second"), deadline=0.01, label="second")
    gate.set()
    last = worker.call(lambda: "last", deadline=LONG, label="last")

    assert (first.result(), last) == (Outcome("done"), Outcome("last"))
    assert ran == []


def test_a_call_that_waited_has_its_full_time_from_when_it_began(
    worker: WorkerThread, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline passes once from when the call was made, and once more from when the worker came to it."""
    caller = threading.get_ident()

    def standing() -> float:
        if threading.get_ident() == caller:  # the first wait is over
            gate.set()
        return 0.0

    monkeypatch.setattr(threads, "monotonic", standing)

    assert worker.call(lambda: gate.wait(LONG), deadline=0.3, label="slow") == Outcome(value=True)


def test_whoever_waits_behind_a_stuck_call_is_told(
    worker: WorkerThread, gate: threading.Event, pool: ThreadPoolExecutor
) -> None:
    """When a call holds the thread for good, those behind it end at once rather than at their own deadline."""
    first = started(worker, gate, pool, 0.3)
    second = pool.submit(worker.call, lambda: "second", deadline=LONG, label="second")

    with pytest.raises(ThreadStuck) as stuck:
        first.result()
    with pytest.raises(DeadlineExceeded):
        second.result(LONG)
    assert stuck.value.culprit == "first"


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """Run a loop."""
    made = LoopThread("loop-of-tests", blocked_after=LONG)
    yield made
    made.close()


def test_what_a_call_left_running_is_cancelled_at_the_end(loop: LoopThread) -> None:
    """A task that a coroutine started and did not await ends with the loop."""
    ends: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def lasting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    async def start() -> None:
        tasks.append(asyncio.create_task(lasting()))
        await asyncio.sleep(0)

    loop.call(start, deadline=LONG, label=None)
    loop.close()

    assert ends == ["cancelled"]
    assert tasks[0].cancelled()


def test_a_closed_loop_takes_no_call(loop: LoopThread) -> None:
    """A call to a loop that another thread has closed is one without an answer; closing it again does nothing."""
    loop.close()
    loop.close()

    with pytest.raises(DeadlineExceeded):
        loop.call(lambda: asyncio.sleep(0), deadline=LONG, label=None)
