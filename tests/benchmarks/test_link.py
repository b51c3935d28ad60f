"""How long a tracking link takes, beside the plainest way to make one."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

import pytest

from parcelhook.carrier import Carrier
from parcelhook.links import tracking_link

ROUNDS, CALLS = 25, 2_000


def _seconds(make: Callable[[], object]) -> float:
    begin = time.perf_counter()
    for _ in range(CALLS):
        make()
    return time.perf_counter() - begin


@pytest.mark.benchmark
@pytest.mark.parametrize("number", ["1Z999AA10123456784", "AB 12/34 56"])
@pytest.mark.parametrize("template", ["https://a.example/?n={number}", "https://a.example/{locale}/{number}"])
def test_a_link_costs_at_most_twice_a_replace(template: str, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Rounds of both take turns, so that a busy machine slows both, and the best round of each counts."""
    carrier = Carrier(id="acme", name="Acme", link=template, locales=("en", "fr"))
    plain = template.replace("{locale}", "en")
    rounds = [
        (
            _seconds(lambda: tracking_link(carrier, number, locale="en")),
            _seconds(lambda: plain.replace("{number}", quote(number))),
        )
        for _ in range(ROUNDS)
    ]
    ratio = min(ours for ours, _ in rounds) / min(theirs for _, theirs in rounds)
    with capsys.disabled():
        print(f"\ntracking_link / replace + quote ({number}): {ratio:.2f}")  # noqa: T201 - a benchmark prints its ratio

    assert ratio <= 2
