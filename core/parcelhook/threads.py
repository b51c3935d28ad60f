"""Threads that plug-ins run on, with a deadline for every call; daemonic, so that none can keep the process alive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final, Generic, TypeVar, cast

ResultT = TypeVar("ResultT")

CLOSING_SECONDS: Final = 2.0
"""How long closing waits for a thread before it is left behind."""


class DeadlineExceeded(Exception):
    """Report a call that did not end, or did not even begin, in time; its thread is of use still."""


class ThreadStuck(Exception):
    """Report a thread that is lost; ``culprit`` labels the call that holds it, or is None where that is unknown."""

    def __init__(self, culprit: Hashable | None) -> None:
        super().__init__(culprit)
        self.culprit = culprit


@dataclass(frozen=True)
class Outcome(Generic[ResultT]):
    """What a call came to: a value, or whatever it raised, ``SystemExit`` included."""

    value: ResultT | None = None
    error: BaseException | None = None


def attempt(work: Callable[[], ResultT]) -> Outcome[ResultT]:
    """Run work and give its outcome; nothing it raises gets past."""
    try:
        return Outcome(value=work())
    except BaseException as error:  # noqa: BLE001 - sys.exit in a plug-in must not end parcelhook
        return Outcome(error=error)


def run_once(work: Callable[[], ResultT], *, deadline: float, name: str) -> Outcome[ResultT]:
    """Run work on a thread of its own; raise DeadlineExceeded and leave the thread behind where it does not end."""
    future: Future[Outcome[ResultT]] = Future()
    threading.Thread(target=lambda: future.set_result(attempt(work)), name=name, daemon=True).start()
    try:
        return future.result(timeout=deadline)
    except TimeoutError:
        raise DeadlineExceeded from None


class LoopThread:
    """An event loop on a thread of its own, for the coroutines of one plug-in or of all built-ins.

    While a caller waits it pings the loop now and then; a ping unanswered for ``blocked_after`` seconds means that
    some coroutine blocks instead of awaiting.
    """

    def __init__(self, name: str, *, blocked_after: float) -> None:
        self._blocked_after = blocked_after
        self._labels: dict[asyncio.Task[object], Hashable] = {}
        self._closing = self._stuck = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def call(
        self, work: Callable[[], Coroutine[object, object, ResultT]], *, deadline: float, label: Hashable
    ) -> Outcome[ResultT]:
        """Run a coroutine and wait for it; raise DeadlineExceeded, or ThreadStuck where the loop is blocked."""
        coroutine = self._guarded(work, label)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop was closed meanwhile
            coroutine.close()
            raise DeadlineExceeded from None
        try:
            return self._result(future, monotonic() + deadline)
        finally:
            future.cancel()

    def close(self, closers: Iterable[Callable[[], Awaitable[object]]] = ()) -> None:
        """Await the closers on the loop, cancel what still runs, and end the thread; a stuck one ends when it can."""
        if not self._stuck:
            with suppress(DeadlineExceeded, ThreadStuck):
                self.call(lambda: _all(closers), deadline=CLOSING_SECONDS, label=None)
        self._closing = True
        with suppress(RuntimeError):  # the loop was closed before
            self._loop.call_soon_threadsafe(self._loop.stop)
        if not self._stuck:
            self._thread.join(CLOSING_SECONDS)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        # A task that a plug-in spawned can throw SystemExit out of the loop: its others go on.
        while attempt(self._loop.run_forever).error is not None and not self._closing:
            pass
        attempt(lambda: self._loop.run_until_complete(self._cancel_all()))
        self._loop.close()

    async def _guarded(
        self, work: Callable[[], Coroutine[object, object, ResultT]], label: Hashable
    ) -> Outcome[ResultT]:
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._labels[task] = label
        try:
            return Outcome(value=await work())
        except BaseException as error:  # noqa: BLE001 - as in attempt(); a task's SystemExit would end the loop
            return Outcome(error=error)
        finally:
            del self._labels[task]

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _result(self, future: Future[Outcome[ResultT]], end: float) -> Outcome[ResultT]:
        answered, asked = threading.Event(), 0.0
        answered.set()
        while True:
            try:
                return future.result(timeout=max(0.0, min(end - monotonic(), self._blocked_after / 2)))
            except TimeoutError:
                now = monotonic()
            if not answered.is_set() and now - asked >= self._blocked_after:
                self._stuck = True
                raise ThreadStuck(self._culprit())
            if now >= end:
                raise DeadlineExceeded
            if answered.is_set():
                answered, asked = threading.Event(), now
                self._loop.call_soon_threadsafe(answered.set)

    def _culprit(self) -> Hashable | None:
        task = asyncio.current_task(self._loop)
        return self._labels.get(task) if task is not None else None


async def _all(closers: Iterable[Callable[[], Awaitable[object]]]) -> None:
    for closer in closers:
        await closer()


@dataclass
class _Job:
    work: Callable[[], object]
    future: Future[Outcome[object]] = field(default_factory=Future)
    started: float = 0.0


class WorkerThread:
    """One thread that runs the synchronous hooks of one plug-in, one after the other."""

    def __init__(self, name: str) -> None:
        self._stuck = False
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], object], *, deadline: float, label: Hashable) -> Outcome[object]:
        """Run work; raise DeadlineExceeded where its turn did not come, ThreadStuck where it began and did not end."""
        job = _Job(work)
        self._jobs.put(job)
        wait = deadline
        while True:
            try:
                return job.future.result(timeout=wait)
            except CancelledError:  # dropped, for an earlier call holds the thread
                raise DeadlineExceeded from None
            except TimeoutError:
                if job.future.cancel():
                    raise DeadlineExceeded from None
            wait = job.started + deadline - monotonic()
            if wait <= 0:
                self._stuck = True
                self._drop_waiting()
                raise ThreadStuck(label)

    def close(self) -> None:
        """End the thread unless it is stuck."""
        self._jobs.put(None)
        if not self._stuck:
            self._thread.join(CLOSING_SECONDS)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.started = monotonic()
            if job.future.set_running_or_notify_cancel():
                job.future.set_result(attempt(job.work))

    def _drop_waiting(self) -> None:
        with suppress(Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job.future.cancel()
