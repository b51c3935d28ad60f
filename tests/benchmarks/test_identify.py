"""How long it takes to tell whose a number is, beside the library that does the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest
from tracking_numbers import get_tracking_number

from number_samples import CARRIERS, SAMPLES
from parcelhook.numbers import FormatIndex

ROUNDS, NUMBERS_OF_EACH_SHAPE = 9, 4


def mixed_numbers() -> list[str]:
    """Give valid numbers of every shape, and twice as many with a wrong digit or one too few, in random order."""
    random = Random(7)  # noqa: S311 - the same numbers in every run
    numbers = []
    for sample in SAMPLES:
        for _ in range(NUMBERS_OF_EACH_SHAPE):
            number = sample.number(random)
            numbers += [number, number[:-1] + random.choice("0123456789"), number[1:]]
    random.shuffle(numbers)
    return [number for number in numbers if readable(number)]


def readable(number: str) -> bool:
    """Tell whether tracking-numbers takes a number at all: a letter as check character makes it raise."""
    try:
        get_tracking_number(number)
    except ValueError:
        return False
    return True


def seconds(identify: Callable[[str], object], numbers: list[str]) -> float:
    """Time one round over all numbers."""
    begin = time.perf_counter()
    for number in numbers:
        identify(number)
    return time.perf_counter() - begin


@pytest.mark.benchmark
def test_identifying_is_half_as_long_again_faster_than_tracking_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Rounds of both take turns, so that a busy machine slows both, and the best round of each counts."""
    numbers = mixed_numbers()
    index = FormatIndex(CARRIERS)
    rounds = [(seconds(index.identify, numbers), seconds(get_tracking_number, numbers)) for _ in range(ROUNDS)]
    ours, theirs = (min(times) / len(numbers) for times in zip(*rounds, strict=True))
    with capsys.disabled():
        print(  # noqa: T201 - a benchmark prints its ratio
            f"\nidentify, {len(numbers)} numbers: {ours * 1e6:.1f} µs each, "
            f"tracking-numbers {theirs * 1e6:.1f} µs: {theirs / ours:.1f} times as fast"
        )

    assert theirs / ours >= 1.5
