"""Patterns that could take for ever are refused before any number meets them."""

from __future__ import annotations

import re

import pytest

from parcelhook import Carrier, InvalidCarrier
from parcelhook.definition import Definition
from parcelhook.patterns import takes_for_ever


@pytest.mark.parametrize(
    "pattern",
    [
        "(A+)+B",
        "(?:a*)*b",
        "(A|AA)*",
        "(?:x*){2,}",
        "(a?){50}",
        "((ab)+)*",
        r"(\d{1,}){3}",
        r"([A-Z0-9]{1,9}-?)+",
        r"(?:(?:A{2,})B)+",
        r"(?:(?:A|B)C){20}",
    ],
)
def test_a_repeated_group_that_varies_inside_is_refused(pattern: str) -> None:
    """What can be split in many ways can take exponential time."""
    assert takes_for_ever(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{8}",
        r"(?:\d{8}|\d{10})",
        r"(?P<prefix>AC)(?P<serial>\d{8})(?P<check>\d)",
        r"(?:[A-Z]|\d){9}",
        r"JJ?D(?P<serial>\d{16})",
        r"(?:AB){2,3}\d+",
        r"(?:\d{13}){2}",
        r"(?:420\d{5}(?:\d{4})?)?94\d{20}",
        r"[)(]+\(\d+\)",
        r"a{}b|c{",
        ")",
    ],
)
def test_patterns_of_real_numbers_are_let_through(pattern: str) -> None:
    """Alternatives, options and fixed repetitions are fine."""
    assert not takes_for_ever(pattern)


def test_a_carrier_with_such_a_pattern_is_refused_with_its_line() -> None:
    """The mistake is told by file and line, like any other."""
    text = 'id = "slow"\nname = "Slow"\n\n[[numbers]]\nservice = "Any"\npattern = "(A+)+B"\n'

    with pytest.raises(InvalidCarrier, match=r"carrier\.toml:6: .*take for ever"):
        Carrier._from_definition(Definition.parse(text, where="carrier.toml"), settings=None)


def test_what_is_let_through_ends_soon() -> None:
    """A text that almost fits is told apart at once, here by a pattern with several open repetitions."""
    assert not takes_for_ever(r"[A-Z]+\d+[A-Z]+")
    assert re.fullmatch(r"[A-Z]+\d+[A-Z]+", "A" * 40 + "1" * 40 + "-") is None
