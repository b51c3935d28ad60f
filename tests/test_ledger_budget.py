"""The budget of calls to Wix: never more in any minute than are allowed, whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Lock, local
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_processes import acquire_many, in_processes
from ledger_samples import NOON, FakeClock
from parcelhook.ledger import Ledger

pytest_plugins = ["ledger_databases"]

MINUTE = timedelta(seconds=60)


def busiest_minute(calls: list[tuple[datetime, int]]) -> int:
    """Give the most that any 60 seconds hold."""
    return max(sum(cost for at, cost in calls if end - MINUTE < at <= end) for end, _ in calls)


def test_goes_until_used_up(ledger: Ledger, clock: FakeClock) -> None:
    """As many calls as are allowed go at once; the next is told how long to wait, and then goes."""
    assert [ledger.budget.acquire("site-1", per_minute=3) for _ in range(3)] == [0.0, 0.0, 0.0]

    wait = ledger.budget.acquire("site-1", per_minute=3)
    assert 60 <= wait <= 61

    clock.advance(wait - 0.01)
    assert ledger.budget.acquire("site-1", per_minute=3) > 0
    clock.advance(0.01)
    assert ledger.budget.acquire("site-1", per_minute=3) == 0.0


def test_waiting_costs_nothing(ledger: Ledger, clock: FakeClock) -> None:
    """Asking in vain is not counted."""
    ledger.budget.acquire("site-1", per_minute=1)
    for _ in range(5):
        assert ledger.budget.acquire("site-1", per_minute=1) > 0

    clock.advance(61)
    assert ledger.budget.acquire("site-1", per_minute=1) == 0.0


def test_sites_have_budgets_of_their_own(ledger: Ledger) -> None:
    """One site's calls leave another's budget as it was."""
    assert ledger.budget.acquire("site-1", per_minute=1) == 0.0
    assert ledger.budget.acquire("site-2", per_minute=1) == 0.0
    assert ledger.budget.acquire("site-1", per_minute=1) > 0


def test_room_for_what_cannot_wait(ledger: Ledger) -> None:
    """A caller that asks with a smaller budget leaves the rest to one that asks with the whole."""
    patient = [ledger.budget.acquire("site-1", per_minute=4) for _ in range(6)]
    urgent = [ledger.budget.acquire("site-1", per_minute=6) for _ in range(3)]

    assert [wait == 0.0 for wait in patient] == [True] * 4 + [False] * 2
    assert [wait == 0.0 for wait in urgent] == [True] * 2 + [False]


def test_block(ledger: Ledger, clock: FakeClock) -> None:
    """After a 429 nobody goes until the moment named; an earlier moment shortens nothing."""
    ledger.budget.block("site-1", until=NOON + timedelta(seconds=30))
    ledger.budget.block("site-1", until=NOON + timedelta(seconds=5))

    assert ledger.budget.acquire("site-1") == 30.0
    clock.advance(30)
    assert ledger.budget.acquire("site-1") == 0.0


@pytest.mark.parametrize("cost", [0, 11])
def test_cost_that_never_fits(ledger: Ledger, cost: int) -> None:
    """A call that could never go is a mistake of the caller, not an endless wait."""
    with pytest.raises(ValueError, match="never fits"):
        ledger.budget.acquire("site-1", cost=cost, per_minute=10)


def test_clock_set_back(ledger: Ledger, clock: FakeClock) -> None:
    """A clock that is set back an hour stops the calls for a minute, not for an hour."""
    ledger.budget.acquire("site-1", per_minute=1)
    clock.advance(-3600)

    wait = ledger.budget.acquire("site-1", per_minute=1)

    assert 0 < wait <= 61
    clock.advance(wait)
    assert ledger.budget.acquire("site-1", per_minute=1) == 0.0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 5),
    asked=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 3), st.booleans()), min_size=1, max_size=25),
)
def test_no_minute_exceeds_the_limit(
    ledger: Ledger, clock: FakeClock, limit: int, asked: list[tuple[float, int, bool]]
) -> None:
    """Whenever calls are asked for, no 60 seconds hold more than the limit, and who waits as told may go."""
    site = uuid4().hex
    went = []
    for gap, wish, is_patient in asked:
        cost = min(wish, limit)
        clock.advance(gap)
        wait = ledger.budget.acquire(site, cost=cost, per_minute=limit)
        if wait and is_patient:
            clock.advance(wait)
            assert ledger.budget.acquire(site, cost=cost, per_minute=limit) == 0.0
        if not wait or is_patient:
            went.append((clock.now, cost))

    assert not went or busiest_minute(went) <= limit


def test_threads_share_the_budget(ledger_url: str) -> None:
    """However many threads ask while time passes, no 60 seconds hold more than the limit."""
    passing, seen, lock = FakeClock(), local(), Lock()

    def clock() -> datetime:
        with lock:
            passing.advance(0.5)
            seen.at = passing.now
            return passing.now

    with Ledger.open(ledger_url, clock=clock) as ledger:

        def ask(_: int) -> datetime | None:
            return seen.at if ledger.budget.acquire("site-1", per_minute=20) == 0.0 else None

        with ThreadPoolExecutor(6) as pool:
            went = [(at, 1) for at in pool.map(ask, range(150)) if at is not None]

    assert busiest_minute(went) == 20
    assert len(went) > 20


def test_processes_share_the_budget(ledger_url: str) -> None:
    """Two processes that ask at once get, together, exactly what one site is allowed."""
    went = in_processes(acquire_many, (ledger_url, 40, 50), (ledger_url, 40, 50))

    assert sum(went) == 50
