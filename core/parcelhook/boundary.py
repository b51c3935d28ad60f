"""The one function around every call into a plug-in: deadline, our errors, a checked answer, and a tally."""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from time import perf_counter
from typing import Final, NoReturn, cast

from pydantic import ValidationError

from parcelhook.carrier import Carrier
from parcelhook.contexts import ContextFactory, HookContext
from parcelhook.errors import (
    CarrierError,
    CarrierUnreadable,
    ConfigurationError,
    HookFailed,
    InputError,
    ParcelhookError,
    PluginError,
)
from parcelhook.implementations import Implementation, code_of, promise
from parcelhook.mistakes import summary
from parcelhook.plugin_log import logger
from parcelhook.plugins import Origin, Plugin, PluginState
from parcelhook.threads import DeadlineExceeded, LoopThread, Outcome, ThreadStuck, WorkerThread

TELL_AUTHOR: Final = "Tell the plug-in's author; --debug shows where it happened."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a plug-in may take, in seconds: to be loaded, for one call, and without letting its loop go on."""

    load: float = 10.0
    call: float = 30.0
    blocked: float = 2.0


@dataclass(frozen=True)
class HookStats:
    """How often a hook was called, how often it failed, and the seconds it took."""

    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    slowest: float = 0.0


class Boundary:
    """Calls hooks and outlives whatever they do.

    A stranger's coroutines run on a loop thread and its plain functions on a worker thread, both its own and made on
    first use. Built-ins share one loop thread, and their plain functions, which are hot, run where they are called.
    """

    def __init__(self, *, contexts: ContextFactory, limits: Limits) -> None:
        self._factory = contexts
        self._limits = limits
        self._lock = threading.Lock()
        self._loops: dict[str, LoopThread] = {}
        self._workers: dict[str, WorkerThread] = {}
        self._contexts: dict[str, dict[str, HookContext]] = {}
        self._stats: dict[tuple[str, str], HookStats] = {}
        self._closed = False

    def call(
        self,
        plugin: Plugin,
        hook: str,
        given: Mapping[str, object],
        *,
        carrier: Carrier | None = None,
        objection: Callable[[object], str] = lambda _: "",
    ) -> object:
        """Call a plug-in's implementation of a hook and give its validated answer.

        ``objection`` says what is wrong with an answer of the right type. Raise HookFailed where the plug-in raised,
        hung, returned something else than promised, or is suspended; its own CarrierError, ConfigurationError and
        InputError pass, with carrier and operation filled in.
        """
        started, failed = perf_counter(), True
        call = _Call(plugin, plugin.hooks[hook], carrier)
        try:
            value = self._answer(call, given)
            if wrong := objection(value):
                raise call.failed(wrong, retryable=False)
            failed = False
        finally:
            self._count(call, perf_counter() - started, failed=failed)
        return value

    def stats(self) -> dict[tuple[str, str], HookStats]:
        """Give the tally by plug-in's name and hook."""
        with self._lock:
            return dict(self._stats)

    def close(self) -> None:
        """Close clients and end threads; those that hang are left behind."""
        with self._lock:
            self._closed = True
            loops, self._loops = self._loops, {}
            workers, self._workers = self._workers, {}
        for key, loop in loops.items():
            loop.close([context.aclose for context in self._contexts.get(key, {}).values()])
        for worker in workers.values():
            worker.close()

    def _answer(self, call: _Call, given: Mapping[str, object]) -> object:
        if self._closed:
            msg = "the registry is closed"
            raise PluginError(msg)
        if not call.plugin.usable:
            raise call.failed(f"is {call.plugin.state}: {call.plugin.reason}", retryable=False)
        arguments = {
            name: self._context(call) if name == "context" else given[name] for name in call.implementation.arguments
        }
        outcome = self._outcome(call, arguments)
        if outcome.error is not None:
            call.translate(outcome.error)
        return call.checked(outcome.value)

    def _outcome(self, call: _Call, arguments: Mapping[str, object]) -> Outcome[object]:
        try:
            if call.implementation.hook.is_async:
                return self._on_loop(call, arguments)
            if call.plugin.origin is Origin.BUILT_IN:
                return _inline(call, arguments)
            return self._on_worker(call, arguments)
        except DeadlineExceeded:
            raise call.failed(f"gave no answer within {self._limits.call:g} s", retryable=True) from None

    def _on_loop(self, call: _Call, arguments: Mapping[str, object]) -> Outcome[object]:
        function = cast("Callable[..., Coroutine[object, object, object]]", call.implementation.function)
        key = _home(call.plugin)
        with self._lock:
            loop = self._loops.get(key)
            if loop is None:
                loop = self._loops[key] = LoopThread(f"parcelhook-{key}", blocked_after=self._limits.blocked)
        try:
            return loop.call(lambda: function(**arguments), deadline=self._limits.call, label=call)
        except ThreadStuck as stuck:
            # The next call gets a new loop: built-ins that share the blocked one are not at fault.
            with self._lock:
                if self._loops.get(key) is loop:
                    del self._loops[key]
            loop.close()
            culprit = stuck.culprit if isinstance(stuck.culprit, _Call) else call
        reason = f"blocked its event loop for over {self._limits.blocked:g} s"
        culprit.suspend(f"{culprit.hook} {reason}")
        if culprit.plugin is not call.plugin:
            raise call.failed(f"was held up: {culprit.plugin} {reason}", retryable=True)
        raise call.failed(f"{reason}; the plug-in is suspended", retryable=False)

    def _on_worker(self, call: _Call, arguments: Mapping[str, object]) -> Outcome[object]:
        key = _home(call.plugin)
        with self._lock:
            worker = self._workers.get(key)
            if worker is None:
                worker = self._workers[key] = WorkerThread(f"parcelhook-{key}-sync")
        try:
            return worker.call(
                lambda: call.implementation.function(**arguments), deadline=self._limits.call, label=call
            )
        except ThreadStuck:
            reason = f"did not return within {self._limits.call:g} s"
        call.suspend(f"{call.hook} {reason}")
        raise call.failed(f"{reason}; the plug-in is suspended", retryable=False)

    def _context(self, call: _Call) -> HookContext:
        carrier = cast("Carrier", call.carrier)  # a hook that is about no carrier offers no context
        with self._lock:
            known = self._contexts.setdefault(_home(call.plugin), {})
            if carrier.id not in known:
                known[carrier.id] = self._factory.context(carrier, plugin=call.plugin.name)
            return known[carrier.id]

    def _count(self, call: _Call, seconds: float, *, failed: bool) -> None:
        key = (call.plugin.name, call.hook)
        with self._lock:
            before = self._stats.get(key, HookStats())
            self._stats[key] = replace(
                before,
                calls=before.calls + 1,
                failures=before.failures + failed,
                seconds=before.seconds + seconds,
                slowest=max(before.slowest, seconds),
            )


@dataclass(frozen=True, eq=False)
class _Call:
    plugin: Plugin
    implementation: Implementation
    carrier: Carrier | None

    @property
    def hook(self) -> str:
        return self.implementation.hook.name

    def failed(self, what: str, *, retryable: bool) -> HookFailed:
        return HookFailed(
            f"{self.plugin}: {self.hook} {what}",
            carrier=self.carrier.id if self.carrier else "",
            operation=self.hook,
            retryable=retryable,
            what_to_do="" if retryable else TELL_AUTHOR,
        )

    def suspend(self, reason: str) -> None:
        self.plugin.state, self.plugin.reason = PluginState.SUSPENDED, reason
        logger(plugin=str(self.plugin)).warning("plug-in suspended", reason=reason)

    def translate(self, error: BaseException) -> NoReturn:
        """Raise our error for what a plug-in raised; its text stays on the cause, for it may hold what is secret."""
        match error:
            case CarrierError():
                if self.carrier is not None:
                    error.carrier = self.carrier.id
                error.operation = error.operation or self.hook
                raise error
            case ConfigurationError() | InputError():
                raise error
            case ValidationError():
                msg = f"{self.plugin}: {self.hook}: the answer is no {error.title}: {summary(error)}"
                raise CarrierUnreadable(
                    msg, carrier=self.carrier.id if self.carrier else "", operation=self.hook
                ) from error
            case _:
                passing = isinstance(error, OSError)  # TimeoutError and ConnectionError are such
                place = _place(error, self.implementation.function)
                raise self.failed(f"raised {type(error).__name__}{place}", retryable=passing) from error

    def checked(self, value: object) -> object:
        """Give the value if it is what the hook promises; a stranger's is taken apart and built anew."""
        adapter = promise(self.hook)
        try:
            value = adapter.validate_python(value, strict=True)
            if self.plugin.origin is Origin.BUILT_IN:
                return value
            # model_construct() makes models that were never validated.
            return adapter.validate_python(adapter.dump_python(value, warnings=False))
        except (ValidationError, ParcelhookError, ValueError, TypeError, AttributeError) as error:
            if inspect.iscoroutine(value):
                value.close()
            detail = f" ({summary(error)})" if isinstance(error, ValidationError) else ""
        declared = self.implementation.hook.promise
        raise self.failed(f"promises {declared} and gave {_named(value)}{detail}", retryable=False)


def _inline(call: _Call, arguments: Mapping[str, object]) -> Outcome[object]:
    try:
        return Outcome(value=call.implementation.function(**arguments))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - sys.exit in a plug-in must not end parcelhook
        return Outcome(error=error)


def _home(plugin: Plugin) -> str:
    """Name the thread a plug-in lives on: built-ins share one."""
    return "built-in" if plugin.origin is Origin.BUILT_IN else str(plugin)


def _named(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} of {', '.join(sorted({type(each).__name__ for each in value})) or 'nothing'}"
    return type(value).__name__


def _place(error: BaseException, function: Callable[..., object]) -> str:
    """Name the last line of the plug-in's own code that the error passed, else the last line of any."""
    frames = traceback.extract_tb(error.__traceback__)
    home = PurePath(code_of(function).co_filename).parent
    own = [each for each in frames if PurePath(each.filename).parent == home]
    frame = (own or frames)[-1]
    return f" at {'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno}"
