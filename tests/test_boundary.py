"""Whatever a plug-in does, the caller gets an answer or one of our errors, and other carriers work on."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial, wraps
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from parcelhook import (
    Carrier,
    CarrierAnswer,
    CarrierContext,
    CarrierThrottled,
    CarrierUnreadable,
    ConfigurationError,
    InvalidTrackingNumber,
    ParsedAnswer,
    Scan,
    Shipment,
    Status,
    StatusChange,
    TrackingReport,
    hookimpl,
)
from parcelhook.boundary import Limits
from parcelhook.contexts import ContextFactory
from parcelhook.errors import CarrierError, HookFailed, PluginError, WixNoAnswer
from parcelhook.plugins import PluginState
from parcelhook.registry import Registry

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SCAN = Scan(code="30", time=NOON)
SHIPMENT = Shipment(carrier="bad", tracking_number="N1")
LIMITS = Limits(load=5.0, call=5.0, blocked=1.0)
HASTY = Limits(load=5.0, call=0.2, blocked=0.2)
SECRET = "s3cr3t-value"


class AcmeSettings(BaseModel):
    """What an operator configures for the bad carrier."""

    api_key: SecretStr
    retries: int = 0


class Plugin:
    """A plug-in that serves one carrier and does what a test tells it to."""

    def __init__(self, carrier_id: str, *, link: object = None, scan: object = None, parsed: object = None) -> None:
        self.carrier = Carrier(id=carrier_id, name=carrier_id, settings=AcmeSettings)
        self.link, self.scan, self.parsed = link, scan, parsed
        self.asked: list[object] = []

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [self.carrier]

    @hookimpl
    async def parcelhook_resolve_tracking_url(self, shipment: Shipment, context: CarrierContext) -> object:
        """Do what the test says, or give a link."""
        self.asked.append(shipment)
        if callable(self.link):
            done = self.link(context)
            return await done if asyncio.iscoroutine(done) else done
        return self.link

    @hookimpl
    def parcelhook_map_status(self, scan: Scan) -> object:
        """Do what the test says, or nothing."""
        self.asked.append(scan)
        return self.scan() if callable(self.scan) else self.scan

    @hookimpl
    def parcelhook_parse(self, answer: CarrierAnswer) -> object:
        """Do what the test says, or nothing."""
        self.asked.append(answer)
        return self.parsed() if callable(self.parsed) else self.parsed


def good() -> Plugin:
    """Give a plug-in that works."""
    return Plugin("good", link="https://good.example/N1", scan=StatusChange(status=Status.DELIVERED))


def registry(
    bad: Plugin, *, limits: Limits = LIMITS, configured: Mapping[str, Mapping[str, object]] | None = None
) -> Registry:
    """Give a registry of a bad plug-in and a good one."""
    contexts = ContextFactory(configured or {}, clock=lambda: NOON)
    return Registry(entry_points=[], extra={"bad": bad, "good": good()}, limits=limits, contexts=contexts)


def works(found: Registry) -> bool:
    """Tell whether the good plug-in does."""
    link = found.resolve_tracking_url(Shipment(carrier="good", tracking_number="N1"))
    change = found.map_status("good", SCAN)
    return link == "https://good.example/N1" and change is not None and change.status is Status.DELIVERED


def raising(error: BaseException) -> Callable[..., object]:
    """Give a function that raises."""

    def raises(*_: object) -> object:
        raise error

    return raises


async def _forever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("hook", ["link", "scan"])
@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ValueError(SECRET), False),
        (KeyError(SECRET), False),
        (ConnectionResetError(SECRET), True),
        (TimeoutError(SECRET), True),
        (SystemExit(SECRET), False),
        (KeyboardInterrupt(SECRET), False),
        (GeneratorExit(), False),
        (asyncio.CancelledError(), False),
        (RecursionError(), False),
        (WixNoAnswer(SECRET, operation="no business of a carrier's"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_plug_in_raises_becomes_our_error(hook: str, error: BaseException, *, retryable: bool) -> None:
    """Any exception is a HookFailed with carrier, hook, kind and place, and without the exception's own text."""
    with registry(Plugin("bad", **{hook: raising(error)})) as found:
        with pytest.raises(HookFailed) as caught:
            _call(found, hook)
        assert works(found)

    name = "parcelhook_resolve_tracking_url" if hook == "link" else "parcelhook_map_status"
    failed = caught.value
    assert (failed.carrier, failed.operation, failed.retryable) == ("bad", name, retryable)
    assert f"bad: {name} raised {type(error).__name__} at tests/test_boundary.py:" in failed.message
    assert SECRET not in failed.message + failed.what_to_do
    assert failed.__cause__ is error


def _call(found: Registry, hook: str) -> object:
    return found.resolve_tracking_url(SHIPMENT) if hook == "link" else found.map_status("bad", SCAN)


@pytest.mark.parametrize(
    "error",
    [
        CarrierThrottled("slow down", carrier="bad", retry_after=7.0),
        InvalidTrackingNumber("no number of ours"),
        ConfigurationError("no account"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_our_own_errors_pass(error: Exception) -> None:
    """An error that a plug-in raises on purpose reaches the caller as it is."""
    with registry(Plugin("bad", link=raising(error))) as found:
        with pytest.raises(type(error)) as caught:
            found.resolve_tracking_url(SHIPMENT)
        assert works(found)
    assert caught.value is error


def test_a_carrier_error_is_completed() -> None:
    """A CarrierError names the carrier that was asked, whatever it said, and the hook."""
    bad = Plugin("bad", link=raising(CarrierThrottled("slow", carrier="good", retry_after=7.0)))
    with registry(bad) as found, pytest.raises(CarrierThrottled) as caught:
        found.resolve_tracking_url(SHIPMENT)
    error = caught.value
    assert (error.carrier, error.operation, error.retry_after) == ("bad", "parcelhook_resolve_tracking_url", 7.0)


def test_an_error_is_placed_whatever_a_hook_wraps() -> None:
    """A hook that wraps something other than a function is placed by its own line."""

    class Wrapping:
        parcelhook_carriers = hookimpl(lambda _: [Carrier(id="bad", name="Bad")])

        @hookimpl
        @wraps(partial(lambda _, scan: scan))
        def parcelhook_map_status(self, scan: Scan) -> None:
            raise ValueError(scan.code)

    raised = pytest.raises(HookFailed, match=r"raised ValueError at tests/test_boundary\.py:")
    with Registry(entry_points=[], extra={"bad": Wrapping()}) as found, raised:
        found.map_status("bad", SCAN)


def test_a_shape_nobody_documented_is_unreadable() -> None:
    """An answer that a plug-in's own model refuses is the carrier's fault, told by path and never by value."""
    with (
        registry(
            Plugin("bad", parsed=lambda: AcmeSettings.model_validate({"api_key": "k", "retries": SECRET}))
        ) as found,
        pytest.raises(CarrierUnreadable, match="the answer is no AcmeSettings: retries: ") as caught,
    ):
        found.parse("bad", CarrierAnswer(status=200, body=b""))
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    "rubbish",
    [7, b"https://bad.example", ["https://bad.example"], object(), True, SecretStr(SECRET)],
    ids=lambda value: type(value).__name__,
)
def test_rubbish_is_refused(rubbish: object) -> None:
    """An answer of another type than the hook promises names both types and not the value."""
    with registry(Plugin("bad", link=lambda _: rubbish, scan=lambda: rubbish)) as found:
        with pytest.raises(HookFailed, match=f"promises str . None and gave {type(rubbish).__name__}") as caught:
            found.resolve_tracking_url(SHIPMENT)
        with pytest.raises(HookFailed, match=r"promises StatusChange \| None and gave"):
            found.map_status("bad", SCAN)
        assert works(found)
    assert SECRET not in caught.value.message


def test_a_model_that_was_never_validated_is_refused() -> None:
    """``model_construct`` gets past a model, and not past the boundary."""
    number: Any = 7
    hollow = ParsedAnswer.model_construct(reports=(TrackingReport.model_construct(number=number),))

    with registry(Plugin("bad", parsed=hollow)) as found:
        with pytest.raises(HookFailed, match=r"promises ParsedAnswer and gave ParsedAnswer \(reports.0.number: "):
            found.parse("bad", CarrierAnswer(status=200, body=b""))
        assert works(found)


def test_a_coroutine_out_of_a_plain_function_is_rubbish() -> None:
    """A plain function that returns a coroutine is refused, and the coroutine is not left unawaited."""
    with registry(Plugin("bad", scan=_forever)) as found, pytest.raises(HookFailed, match="gave coroutine"):
        found.map_status("bad", SCAN)


def test_a_coroutine_that_hangs_is_given_up() -> None:
    """A call that does not end is a failure that can be tried again; the plug-in is of use still."""
    hanging = [True]

    async def link(_: object = None) -> str:
        if hanging:
            await _forever()
        return "https://bad.example/N1"

    with registry(Plugin("bad", link=link), limits=HASTY) as found:
        with pytest.raises(HookFailed, match=r"gave no answer within 0\.2 s") as caught:
            found.resolve_tracking_url(SHIPMENT)
        hanging.clear()
        assert found.resolve_tracking_url(SHIPMENT) == "https://bad.example/N1"
        assert works(found)
    assert caught.value.retryable


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Let go of the threads a test hung, once it is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_blocked_loop_suspends_its_plug_in(release: threading.Event) -> None:
    """A coroutine that blocks instead of awaiting is named, its plug-in suspended, and nobody else waits for it."""
    bad = Plugin("bad", link=lambda _: release.wait(60))
    with registry(bad, limits=Limits(load=5.0, call=30.0, blocked=0.1)) as found:
        with pytest.raises(HookFailed, match=r"blocked its event loop for over 0\.1 s; the plug-in is suspended"):
            found.resolve_tracking_url(SHIPMENT)
        with pytest.raises(HookFailed, match="is suspended: parcelhook_resolve_tracking_url blocked") as caught:
            found.map_status("bad", SCAN)
        states = {row.name: row.state for row in found.plugins()}
        assert works(found)
    assert states == {"bad": PluginState.SUSPENDED, "good": PluginState.ACTIVE}
    assert not caught.value.retryable


def test_a_suspended_plug_in_keeps_its_reason(release: threading.Event) -> None:
    """A rival that is found later for the same carrier does not hide why the plug-in is not called any more."""
    plugins = {"bad": Plugin("bad", scan=lambda: release.wait(60)), "rival": Plugin("bad")}
    with Registry(entry_points=[], extra=plugins, limits=HASTY) as found:
        with pytest.raises(HookFailed, match="is suspended"):
            found.map_status("bad", SCAN)
        rows = {row.name: (row.state, row.reason) for row in found.plugins()}

    assert rows["bad"] == (PluginState.SUSPENDED, "parcelhook_map_status did not return within 0.2 s")
    assert rows["rival"][0] is PluginState.IN_CONFLICT


def test_a_plain_function_that_hangs_suspends_its_plug_in(release: threading.Event) -> None:
    """A synchronous hook runs on its plug-in's own thread, so that only that thread is lost."""
    with registry(Plugin("bad", scan=lambda: release.wait(60)), limits=HASTY) as found:
        with pytest.raises(HookFailed, match=r"did not return within 0\.2 s; the plug-in is suspended"):
            found.map_status("bad", SCAN)
        with pytest.raises(HookFailed, match="is suspended: parcelhook_map_status did not return"):
            found.resolve_tracking_url(SHIPMENT)
        assert works(found)


def test_a_built_in_that_blocks_holds_up_no_other(release: threading.Event, tmp_path: Path) -> None:
    """Built-ins share a loop; when one blocks it, that one is suspended and the others get a new loop."""
    bad, fine = Plugin("bad", link=lambda _: release.wait(60)), good()
    with _built_in(tmp_path, bad=bad, good=fine) as found:
        with pytest.raises(HookFailed, match="blocked its event loop"):
            found.resolve_tracking_url(SHIPMENT)
        assert works(found)
        assert {row.name: row.state for row in found.plugins()} == {"bad": "suspended", "good": "active"}


def test_who_shares_a_loop_with_a_built_in_that_blocks_is_told(release: threading.Event, tmp_path: Path) -> None:
    """A call that was under way on the blocked loop fails, names the culprit, and can be tried again."""
    waiting = threading.Event()

    async def link(_: object) -> str:
        waiting.set()
        await _forever()
        return ""

    bad, held = Plugin("bad", link=lambda _: release.wait(60)), Plugin("good", link=link)
    with _built_in(tmp_path, bad=bad, good=held) as found, ThreadPoolExecutor(1) as pool:
        call = pool.submit(found.resolve_tracking_url, Shipment(carrier="good", tracking_number="N1"))
        assert waiting.wait(60)
        with pytest.raises(HookFailed, match="the plug-in is suspended"):
            found.resolve_tracking_url(SHIPMENT)
        with pytest.raises(HookFailed, match=r"good .* was held up: bad .* blocked its event loop") as caught:
            call.result(60)
        held.link = "https://good.example/N1"
        held.scan = StatusChange(status=Status.DELIVERED)
        assert works(found)
    assert caught.value.retryable


class _Distribution:
    name, version = "parcelhook", "0"


def _built_in(folder: Path, **plugins: Plugin) -> Registry:
    points = []
    for name, plugin in plugins.items():
        setattr(sys.modules[__name__], f"built_in_{name}", plugin)
        point = EntryPoint(name, f"{__name__}:built_in_{name}", "parcelhook")
        vars(point).update(dist=_Distribution)
        points.append(point)
    return Registry(entry_points=points, limits=Limits(load=5.0, call=30.0, blocked=0.1))


def test_a_built_ins_plain_functions_run_where_they_are_called(tmp_path: Path) -> None:
    """What is called a million times costs no change of thread, and the user's interrupt gets through."""
    seen: list[int] = []
    interrupting = Plugin("bad", scan=raising(KeyboardInterrupt()), parsed=raising(SystemExit(3)))
    with _built_in(
        tmp_path, good=Plugin("good", scan=lambda: seen.append(threading.get_ident())), bad=interrupting
    ) as found:
        assert found.map_status("good", SCAN) is None
        assert seen == [threading.get_ident()]
        with pytest.raises(KeyboardInterrupt):
            found.map_status("bad", SCAN)
        with pytest.raises(HookFailed, match="raised SystemExit"):
            found.parse("bad", CarrierAnswer(status=200, body=b""))


def test_a_task_that_exits_does_not_end_the_loop() -> None:
    """``sys.exit`` in a task that a plug-in spawned leaves the plug-in's loop running."""

    async def link(_: object) -> str:
        async def leave() -> None:
            sys.exit(3)

        task = asyncio.ensure_future(leave())
        await asyncio.wait([task])
        return f"https://bad.example/{type(task.exception()).__name__}"

    with registry(Plugin("bad", link=link)) as found:
        assert found.resolve_tracking_url(SHIPMENT) == "https://bad.example/SystemExit"
        assert found.resolve_tracking_url(SHIPMENT) == "https://bad.example/SystemExit"


def test_every_plug_in_lives_on_threads_of_its_own() -> None:
    """Two strangers share neither a loop nor a worker."""
    seen: dict[str, set[str]] = {"bad": set(), "other": set()}

    def noting(name: str) -> Callable[..., None]:
        return lambda *_: seen[name].add(threading.current_thread().name)

    plugins = {name: Plugin(name, link=noting(name), scan=noting(name)) for name in seen}
    with Registry(entry_points=[], extra=plugins, limits=LIMITS) as found:
        for name in seen:
            found.resolve_tracking_url(Shipment(carrier=name, tracking_number="N1"))
            found.map_status(name, SCAN)
    assert seen == {name: {f"parcelhook-{name}", f"parcelhook-{name}-sync"} for name in seen}


def test_calls_are_counted() -> None:
    """Calls, failures and seconds are counted by plug-in and hook."""
    with registry(Plugin("bad", scan=raising(ValueError()))) as found:
        for _ in range(2):
            with pytest.raises(HookFailed):
                found.map_status("bad", SCAN)
        works(found)
        stats = found.stats()
    bad, fine = stats["bad", "parcelhook_map_status"], stats["good", "parcelhook_map_status"]
    assert (bad.calls, bad.failures, fine.calls, fine.failures) == (2, 2, 1, 0)
    assert bad.seconds >= bad.slowest > 0


def test_a_context_holds_one_carriers_settings() -> None:
    """A hook sees its carrier, its validated settings and the registry's clock."""

    async def link(context: CarrierContext[AcmeSettings]) -> str:
        context.log.debug("asked", number="N1")
        assert context.settings.api_key.get_secret_value() == SECRET
        assert context.settings.retries == 3
        return f"https://{context.carrier.id}.example/{context.now().isoformat()}"

    with registry(Plugin("bad", link=link), configured={"bad": {"api_key": SECRET, "retries": "3"}}) as found:
        assert found.resolve_tracking_url(SHIPMENT) == f"https://bad.example/{NOON.isoformat()}"


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ({}, "[carriers.bad] api_key: is missing"),
        ({"api_key": SECRET, "retries": SECRET}, "[carriers.bad] retries: should be a whole number"),
    ],
)
def test_wrong_settings_name_the_field(configured: Mapping[str, object], said: str) -> None:
    """A missing or wrong setting is told by its name in the file and in the environment, never by its value."""
    bad = Plugin("bad", link=lambda context: str(context.settings))

    with registry(bad, configured={"bad": configured}) as found, pytest.raises(ConfigurationError) as caught:
        found.resolve_tracking_url(SHIPMENT)
    assert said in caught.value.message
    assert "PARCELHOOK_CARRIERS__BAD__" in caught.value.what_to_do
    assert SECRET not in repr((caught.value.message, caught.value.what_to_do, caught.value.__context__))


def test_a_closed_registry_says_so() -> None:
    """After closing, a call is an error rather than a hang, and closing again does nothing."""
    found = registry(Plugin("bad", link="https://bad.example/N1"))
    assert found.resolve_tracking_url(SHIPMENT)
    found.close()
    found.close()

    with pytest.raises(PluginError, match="the registry is closed"):
        found.resolve_tracking_url(SHIPMENT)


BEHAVIOURS: dict[str, object] = {
    "link": "https://bad.example/N1",
    "raise": raising(ValueError()),
    "exit": raising(SystemExit()),
    "carrier": raising(CarrierThrottled("slow", carrier="bad")),
    "rubbish": lambda *_: object(),
    "nothing": None,
    "coroutine": lambda *_: _forever,
}


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(BEHAVIOURS)), min_size=1, max_size=6))
def test_whatever_a_plug_in_does_the_others_work(course: list[str]) -> None:
    """After any course of misbehaviour every call to a good carrier still gives its answer."""
    bad = Plugin("bad")
    with registry(bad) as found:
        for step in course:
            bad.link = bad.scan = BEHAVIOURS[step]
            for hook in ("link", "scan"):
                with suppress(CarrierError):
                    _call(found, hook)
            assert works(found)
