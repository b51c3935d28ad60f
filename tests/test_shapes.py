"""The shapes of one carrier's numbers: what looks like one, and what has probably lost its leading zeros."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_samples import CARRIERS, SAMPLES, Sample
from parcelhook import Carrier
from parcelhook.numbers import Shapes

SHAPES = {carrier.id: Shapes(carrier) for carrier in CARRIERS}


@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_a_number_of_a_carriers_own_format_is_accepted_and_lacks_nothing(sample: Sample, random: Random) -> None:
    """Whatever format it is of, and however it is typed."""
    number, shapes = sample.number(random), SHAPES[sample.carrier]

    assert shapes.accept(number)
    assert shapes.accept(f" {number.lower()} ")
    assert shapes.zeros_missing(number) is None


@pytest.mark.parametrize(("carrier", "number"), [("fedex", "7946450000000"), ("ups", "RR123456785GB"), ("dhl", "x")])
def test_a_number_of_no_shape_of_the_carriers_is_not_accepted(carrier: str, number: str) -> None:
    """A digit too many, another carrier's number, and what is none."""
    assert not SHAPES[carrier].accept(number)


def test_anything_may_be_the_number_of_a_carrier_whose_shapes_are_not_known() -> None:
    """Nothing speaks against a number, and nothing for missing zeros."""
    shapes = Shapes(Carrier(id="acme", name="Acme"))

    assert shapes.accept("whatever 1")
    assert shapes.zeros_missing("12345678901") is None


@pytest.mark.parametrize(
    ("carrier", "whole"),
    [
        ("fedex", "098259791905"),
        ("fedex", "010776247030526"),
        ("usps", "03404499545728668796"),
        ("dhl", "0361957046"),
    ],
)
def test_a_number_that_lost_its_zeros_is_known_by_its_check_digit(carrier: str, whole: str) -> None:
    """With the zeros it has a shape that a check digit confirms, and without them none."""
    shapes = SHAPES[carrier]

    assert shapes.accept(whole)
    assert shapes.zeros_missing(whole.lstrip("0")) == whole


@pytest.mark.parametrize(
    "number", ["A2345678901", "\u0661\u0662", "", "794644790139", "794644790138", "1", "12345678901234567890123456789"]
)
def test_nothing_is_missing_where_nothing_speaks_for_it(number: str) -> None:
    """Letters, digits of other scripts, a shape of its own with whatever check digit, or no shape with any zeros."""
    assert SHAPES["fedex"].zeros_missing(number) is None
