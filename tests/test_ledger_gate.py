"""The gate between Wix client and ledger: budget before, row before, outcome after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parcelhook.errors import WixRateLimited
from parcelhook.fulfillment.gate import LedgerGate
from parcelhook.ledger import Ledger

START = datetime(2025, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.present = START
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Give the present time."""
        return self.present

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.present += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    """Give a clock at noon."""
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Open an empty ledger that knows the store."""
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", clock=clock.now) as opened:
        opened.stores.ensure("main", site="site-1")
        yield opened


def make_gate(ledger: Ledger, clock: Clock, *, per_minute: int = 200) -> LedgerGate:
    """Give a gate of the store."""
    return LedgerGate(ledger, store="main", site="site-1", per_minute=per_minute, clock=clock.now, sleep=clock.sleep)


def test_a_call_has_a_row_before_it_leaves_and_an_outcome_after(ledger: Ledger, clock: Clock) -> None:
    """The row names what is asked and which orders it concerns; the answer is added to the same row."""
    gate = make_gate(ledger, clock)

    number = gate.before("create", "POST", "/path", ("o1",))
    (before,) = ledger.calls.find("main", order_id="o1")
    gate.after(number, status=200, request_id="r1", outcome="ok")
    (after,) = ledger.calls.find("main", order_id="o1")

    assert (before.operation, before.method, before.path, before.ended_at) == ("create", "POST", "/path", None)
    assert (after.id, after.status, after.request_id, after.outcome) == (before.id, 200, "r1", "ok")
    assert gate.calls["create"] == 1


def test_calls_wait_for_the_budget(ledger: Ledger, clock: Clock) -> None:
    """A call over the budget leaves a minute after the first, and two gates share one site's budget."""
    first, second = make_gate(ledger, clock, per_minute=2), make_gate(ledger, clock, per_minute=2)

    first.before("create", "POST", "/a", ())
    second.before("create", "POST", "/b", ())
    second.before("create", "POST", "/c", ())

    assert clock.slept
    assert 60 <= sum(clock.slept) <= 61


def test_progress_leaves_room_for_creations(ledger: Ledger, clock: Clock) -> None:
    """Status updates use nine tenths of the budget at most; a creation finds the rest free."""
    gate = make_gate(ledger, clock, per_minute=10)
    for _ in range(9):
        gate.before("update", "PATCH", "/a", ())
    assert clock.slept == []

    gate.before("create", "POST", "/b", ())
    assert clock.slept == []

    gate.before("update", "PATCH", "/a", ())
    assert clock.slept


def test_a_throttled_site_is_left_alone_by_every_gate(ledger: Ledger, clock: Clock) -> None:
    """After a 429 no call of any process leaves before the moment Wix names."""
    make_gate(ledger, clock).throttled(30)

    make_gate(ledger, clock).before("create", "POST", "/a", ())

    assert sum(clock.slept) == pytest.approx(30)


def test_a_call_that_would_leave_too_late_is_not_made(ledger: Ledger, clock: Clock) -> None:
    """What must leave by a moment is refused, retryable and with no row, where the budget opens after it."""
    gate = make_gate(ledger, clock, per_minute=1)
    gate.before("create", "POST", "/a", ())

    with (
        gate.leaving_before(START + timedelta(seconds=10)),
        pytest.raises(WixRateLimited, match="nothing was sent") as caught,
    ):
        gate.before("create", "POST", "/b", ("o2",))

    assert caught.value.retryable
    assert caught.value.retry_after == pytest.approx(61)
    assert ledger.calls.find("main", order_id="o2") == []
    assert clock.slept == []
    gate.before("create", "POST", "/b", ("o2",))
    assert len(ledger.calls.find("main", order_id="o2")) == 1


def test_a_call_after_its_moment_is_not_made_even_with_budget(ledger: Ledger, clock: Clock) -> None:
    """Where the moment has passed already, a free budget does not help."""
    gate = make_gate(ledger, clock)

    with gate.leaving_before(START - timedelta(seconds=1)), pytest.raises(WixRateLimited):
        gate.before("create", "POST", "/a", ())


def test_a_call_that_was_let_go_too_late_is_not_made(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the ledger was long in coming, nothing is sent, and the call's row says so."""
    gate, admit = make_gate(ledger, clock), ledger.calls.admit

    def slow(*arguments: Any, **keywords: Any) -> str | float:  # noqa: ANN401 - passed on
        answer = admit(*arguments, **keywords)
        clock.sleep(20)
        return answer

    monkeypatch.setattr(ledger.calls, "admit", slow)

    with gate.leaving_before(START + timedelta(seconds=10)), pytest.raises(WixRateLimited, match="nothing was sent"):
        gate.before("create", "POST", "/b", ("o2",))

    (call,) = ledger.calls.find("main", order_id="o2")
    assert (call.status, call.outcome) == (None, "WixRateLimited")
    assert call.ended_at is not None
    assert gate.calls == {}
