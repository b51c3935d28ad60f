"""The budget of calls to Wix: one row per site that every process asks before each call.

Wix allows 200 calls a minute and app instance (Wix: "Rate Limits").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from parcelhook.ledger.database import Database
from parcelhook.ledger.schema import call_budget

PER_MINUTE: Final = 200

WINDOW: Final = timedelta(seconds=61)
"""A minute, and a second for a call that reaches Wix faster than one that was let go before it."""


class Budget:
    """Let calls go so that no window of 60 seconds holds more than are allowed, however many processes ask."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def acquire(self, site: str, *, cost: int = 1, per_minute: int = PER_MINUTE) -> float:
        """Give 0.0 if the call may leave now, and count it; else the seconds to wait before asking again.

        A caller that can wait asks with a smaller ``per_minute``, and so leaves the rest to those that cannot.
        """
        if not 0 < cost <= per_minute:
            msg = f"a call that costs {cost} never fits in a budget of {per_minute}"
            raise ValueError(msg)
        with self._database.note() as connection:
            return self.acquire_in(connection, site, cost=cost, per_minute=per_minute)

    def acquire_in(self, connection: sa.Connection, site: str, *, cost: int = 1, per_minute: int = PER_MINUTE) -> float:
        """Do as ``acquire`` does, in a transaction under way."""
        row = self._locked(connection, site)
        # Read only now: waiting for the row may have taken a while.
        now = self._clock()
        if row.blocked_until is not None and row.blocked_until > now:
            return _seconds(row.blocked_until - now)
        calls = _present(json.loads(row.calls), now=_milliseconds(now))
        wait = _wait(calls, room=per_minute - cost, now=_milliseconds(now))
        if wait == 0.0:
            calls.append((_milliseconds(now), cost))
        # Written also when nothing goes, for a call from the future must count as now once, and not anew each time.
        connection.execute(_COUNT, {"its": site, "counted": json.dumps(calls)})
        return wait

    def block(self, site: str, *, until: datetime) -> None:
        """Let nobody go before ``until``, because Wix answered 429; an earlier moment shortens nothing."""
        with self._database.write() as connection:
            row = self._locked(connection, site)
            if row.blocked_until is None or row.blocked_until < until:
                change = sa.update(call_budget).where(call_budget.c.site == site).values(blocked_until=until)
                connection.execute(change)

    def _locked(self, connection: sa.Connection, site: str) -> sa.Row[tuple[str, str, datetime | None]]:
        row = connection.execute(_OF_SITE, {"its": site}).one_or_none()
        if row is None:
            connection.execute(self._database.insert_new(call_budget).values(site=site, calls="[]"))
            row = connection.execute(_OF_SITE, {"its": site}).one()
        return row


_OF_SITE: Final = sa.select(call_budget).where(call_budget.c.site == sa.bindparam("its")).with_for_update()
_COUNT: Final = (
    sa.update(call_budget).where(call_budget.c.site == sa.bindparam("its")).values(calls=sa.bindparam("counted"))
)


def _present(calls: list[tuple[int, int]], *, now: int) -> list[tuple[int, int]]:
    """Give the calls that still count, the oldest first; one from the future (a clock was set back) counts as now."""
    oldest = now - _milliseconds_of(WINDOW)
    return sorted((min(at, now), cost) for at, cost in calls if at > oldest)


def _wait(calls: list[tuple[int, int]], *, room: int, now: int) -> float:
    """Give the seconds until the calls that still count leave room."""
    used = sum(cost for _, cost in calls)
    leaving = iter(calls)
    until = now
    while used > room:
        at, cost = next(leaving)
        until = at + _milliseconds_of(WINDOW)
        used -= cost
    return (until - now) / 1000


def _seconds(span: timedelta) -> float:
    return span / timedelta(seconds=1)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _milliseconds_of(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
