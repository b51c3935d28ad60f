"""What other processes do to a ledger in its tests; each function is run in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from ledger_samples import wanted
from parcelhook.ledger import Ledger, State

AnswerT = TypeVar("AnswerT")


def in_processes(work: Callable[..., AnswerT], *arguments: Sequence[object]) -> list[AnswerT]:
    """Run work once for each tuple of arguments, all at once, each in a fresh process."""
    with ProcessPoolExecutor(len(arguments), mp_context=get_context("spawn")) as pool:
        started = [pool.submit(work, *each) for each in arguments]
        return [each.result() for each in started]


def claim_all(url: str, owner: str) -> list[str]:
    """Claim ready shipments, a few at a time, until there are none."""
    claimed: list[str] = []
    with Ledger.open(url) as ledger:
        while True:
            rows = ledger.shipments.claim("default", states={State.READY}, owner=owner, lease_seconds=600, limit=3)
            if not rows:
                return claimed
            claimed += [row.id for row in rows]


def add_all(url: str, count: int) -> tuple[list[str], int]:
    """Add the same shipments as everybody else; give their ids, and how many were new."""
    with Ledger.open(url) as ledger:
        added = ledger.shipments.add_all([wanted(f"order-{n}", f"AC{n}") for n in range(count)])
    return [each.shipment.id for each in added], sum(each.is_new for each in added)


def acquire_many(url: str, tries: int, per_minute: int) -> int:
    """Ask for calls; give how many may go."""
    with Ledger.open(url) as ledger:
        return sum(ledger.budget.acquire("site-1", per_minute=per_minute) == 0.0 for _ in range(tries))


def open_new(url: str) -> str:
    """Open a ledger that may not exist yet."""
    with Ledger.open(url) as ledger:
        return ledger.check()
