"""The check digit algorithms, by worked examples and by what they must notice."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from number_samples import CARRIERS, SAMPLES, Sample, detects_every_digit
from parcelhook import CheckDigit, NumberFormat
from parcelhook.numbers import ALGORITHMS, FormatIndex, valid_check_digit

INDEX = FormatIndex(CARRIERS)
CHECKED = [sample for sample in SAMPLES if "?" in sample.shape]

WORKED_EXAMPLES = [
    ("canada_post", "4021017000000047"),
    ("ups", "1Z40A7W90300005016"),
    ("fedex_ground", "613000000123455"),
    ("usps_impb_n", "9400111898765400001239"),
    ("usps_legacy", "01012345678900000013"),
    ("ontrac_c", "C10000001234561"),
    ("fedex_ground_economy_20", "02390000000100001236"),
    ("dhl_paket_sscc", "00340434000000123457"),
    ("dhl_identcode_12", "560000001232"),
    ("gls_12", "201000001236"),
    ("purolator_numeric", "330000012345"),
    ("dhl_express", "3000000124"),
    ("s10", "RR100002344GB"),
    ("fedex_12", "700000012345"),
    ("dpd_14", "019900000123455"),
]


def formats_of(number: str, *, carrier: str | None = None) -> set[str]:
    """Give the ids of the formats that accept a number."""
    return {candidate.format for candidate in INDEX.identify(number, carrier=carrier)}


@pytest.mark.parametrize(("format_", "number"), WORKED_EXAMPLES)
def test_a_number_worked_out_by_hand_is_accepted_with_its_check_digit(format_: str, number: str) -> None:
    """Each algorithm gives the check digit that was reckoned on paper, and its candidate says that one was checked."""
    candidates = {candidate.format: candidate for candidate in INDEX.identify(number)}

    assert candidates[format_].check_digit


@pytest.mark.parametrize(
    ("rule", "serial", "check"),
    [
        (CheckDigit(algorithm="mod7"), "300000012", "4"),
        (CheckDigit(algorithm="mod7"), "123456789", "1"),
        (CheckDigit(algorithm="s10"), "10000234", "4"),
        (CheckDigit(algorithm="s10"), "00000000", "5"),  # 11 becomes 5
        (CheckDigit(algorithm="s10"), "50000000", "4"),
        (CheckDigit(algorithm="s10"), "12345678", "5"),  # a sum of 204: every weight counts
        (CheckDigit(algorithm="s10"), "87654321", "6"),  # a sum of 192
        (CheckDigit(algorithm="s10"), "00000008", "0"),  # 10 becomes 0
        (CheckDigit(algorithm="luhn"), "33000001234", "5"),
        (CheckDigit(algorithm="luhn"), "7992739871", "3"),  # doubled digits of two figures
        (CheckDigit(algorithm="weighted_mod11_mod10", weights=(3, 1, 7)), "70000001234", "5"),
        (CheckDigit(algorithm="weighted_mod11_mod10", weights=(3, 1, 7)), "10100000000", "0"),  # a rest of 10
        (CheckDigit(algorithm="iso7064_mod37_36"), "01990000012345", "5"),
        (CheckDigit(algorithm="iso7064_mod37_36"), "A12425GABC1234002", "M"),  # the example of the GRid standard
        (CheckDigit(algorithm="iso7064_mod37_36"), "01990098", "0"),
        (CheckDigit(algorithm="iso7064_mod37_36"), "01990007", "Z"),
        (CheckDigit(algorithm="mod10_weighted", weights=(3, 1), offset=1), "20100000123", "6"),
        (CheckDigit(algorithm="mod10_weighted", weights=(1, 2), letters=True), "40A7W9030000501", "6"),
    ],
)
def test_an_algorithm_gives_the_check_character_of_a_serial(rule: CheckDigit, serial: str, check: str) -> None:
    """A serial alone has one check character."""
    assert ALGORITHMS[rule.algorithm](rule, serial) == check


def test_a_prefix_that_is_printed_is_not_put_in_front_again() -> None:
    """91 counts once in a USPS legacy number, whether it is printed or not."""
    printed, bare = "9101012345678900000013", "01012345678900000013"

    assert "usps_legacy" in formats_of(printed)
    assert "usps_legacy" in formats_of(bare)


def test_a_letter_where_digits_count_is_not_valid() -> None:
    """A pattern that lets letters into a digits-only check refuses the number instead of failing."""
    format_ = NumberFormat(
        service="Acme",
        pattern=r"(?P<serial>\w{4})(?P<check>\d)",
        check_digit=CheckDigit(algorithm="mod10_weighted", weights=(3, 1)),
    )
    match = re.fullmatch(format_.pattern, "12A45")
    assert match is not None

    assert not valid_check_digit(format_, match)


@pytest.mark.parametrize("sample", CHECKED, ids=lambda sample: f"{sample.format}-{sample.shape}")
@settings(max_examples=8)
@given(random=st.randoms(use_true_random=False))
def test_a_wrong_check_digit_is_rejected_by_its_format(sample: Sample, random: Random) -> None:
    """Whatever the serial, no other check character passes."""
    wrong = list(sample.numbers(sample.text(random), valid=False))

    assert len(wrong) >= 9
    assert all(sample.format not in formats_of(number, carrier=sample.carrier) for number in wrong)


@pytest.mark.parametrize(
    "sample",
    [sample for sample in CHECKED if detects_every_digit(sample.definition.check_digit)],
    ids=lambda sample: f"{sample.format}-{sample.shape}",
)
@settings(max_examples=8)
@given(random=st.randoms(use_true_random=False))
def test_any_one_wrong_digit_is_rejected_by_its_format(sample: Sample, random: Random) -> None:
    """With weights prime to ten, no single wrong digit of the serial can hide."""
    number = sample.number(random)
    match = re.fullmatch(sample.definition.pattern, number)
    assert match is not None
    place = random.randrange(*match.span("serial"))
    digit = random.choice([digit for digit in "0123456789" if digit != number[place]])
    changed = number[:place] + digit + number[place + 1 :]

    assert sample.format not in formats_of(changed, carrier=sample.carrier)
