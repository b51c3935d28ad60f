"""Tracking numbers: what may be one, how it is compared, and whose it is."""

from __future__ import annotations

import string
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from number_samples import CARRIERS, SAMPLES, Sample
from parcelhook import Carrier, InvalidTrackingNumber, NumberFormat
from parcelhook.numbers import FormatIndex, as_given, for_links, matches, normalise, stands_for_none

INDEX = FormatIndex(CARRIERS)
BY_ID = {carrier.id: carrier for carrier in CARRIERS}
ALLOWED = set(string.ascii_letters + string.digits + " -._/+:*")


def ranking(number: str, *, carrier: str | None = None, country: str | None = None) -> list[str]:
    """Give the carriers of a number, best first."""
    return [candidate.carrier for candidate in INDEX.identify(number, carrier=carrier, country=country)]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  1Z40A7W90300005016\n", "1Z40A7W90300005016"),
        ("1z40 a7w9-0300", "1z40 a7w9-0300"),
        ("7000\u200b0001\u20602345\ufeff", "700000012345"),
        ("\uff11\uff12\uff13\uff14", "1234"),
        ("AB-12/34_5.6:7+8*", "AB-12/34_5.6:7+8*"),
    ],
)
def test_a_number_is_kept_as_given_but_for_blanks_at_its_ends_and_what_has_no_width(typed: str, kept: str) -> None:
    """Case, blanks inside and hyphens stay; zero-width characters go and full-width ones become ASCII."""
    assert as_given(typed) == kept


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", "is empty"),
        (" \u200b\t", "is empty"),
        ("--", "no letter or digit"),
        ("1" * 101, "101 characters"),
        ("123\n456", "line break"),
        ("123\t456", "tab"),
        ("123\x00456", "U+0000"),
        ("123\u202e456", "U+202E"),
        ("123\u200f", "U+200F"),
        ("1234\U0001f4e6", "\U0001f4e6"),
        ("12\u0663", "\u0663"),
        ("123?a=b&c", "'?'"),
        ("%00", "'%'"),
        ("../123", "'..'"),
        ("12\u202534", "'..'"),
        ("https://evil.example/1", "'//'"),
        ("1\\2", "'\\\\'"),
        ("1<2>", "'<'"),
    ],
)
def test_what_is_no_number_is_refused_with_field_and_advice(typed: str, problem: str) -> None:
    """The message names the field, the problem, and what to do."""
    with pytest.raises(InvalidTrackingNumber) as caught:
        as_given(typed, field="line 7: tracking_number")

    assert caught.value.message.startswith("line 7: tracking_number: ")
    assert problem in caught.value.message
    assert caught.value.field == "line 7: tracking_number"
    assert caught.value.what_to_do in caught.value.message


@given(st.text())
def test_a_forbidden_character_never_gets_through(typed: str) -> None:
    """What is not refused is short, plain ASCII, and can climb out of no path."""
    try:
        kept = as_given(typed)
    except InvalidTrackingNumber:
        return

    assert set(kept) <= ALLOWED
    assert 0 < len(kept) <= 100
    assert ".." not in kept
    assert "//" not in kept
    assert as_given(kept) == kept


@given(st.text())
@example("a\u00a8")  # NFKC makes a blank and an accent of it, which composes once the blank is gone
@example("\u0390\u200d\u0301")
def test_normalising_twice_changes_nothing(text: str) -> None:
    """The normalised form of any text is its own normalised form."""
    assert normalise(normalise(text)) == normalise(text)


@given(number=st.text(string.ascii_letters + string.digits, min_size=1), random=st.randoms(use_true_random=False))
def test_how_a_number_is_written_does_not_matter_for_comparing_it(number: str, random: Random) -> None:
    """Case, blanks, hyphens, zero-width and full-width characters make no difference."""
    written = ""
    for character in number:
        wide = chr(ord(character) + 0xFEE0)
        written += random.choice([character, character.lower(), wide]) + random.choice(["", "", " ", "-", "\u200b"])

    assert normalise(written) == number.upper()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.carrier}-{sample.shape}")
@settings(max_examples=8)
@given(random=st.randoms(use_true_random=False))
def test_a_valid_number_is_identified(sample: Sample, random: Random) -> None:
    """The right carrier is among the candidates, and what only a named carrier may claim is found when it is named."""
    number = sample.number(random)
    named = None if sample.suggested else sample.carrier

    found = [candidate for candidate in INDEX.identify(number, carrier=named) if candidate.carrier == sample.carrier]

    assert found
    assert found[0].number == number


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.carrier}-{sample.shape}")
@settings(max_examples=8)
@given(random=st.randoms(use_true_random=False))
def test_candidates_are_ranked_and_unique(sample: Sample, random: Random) -> None:
    """Confidence never rises down the list, lies between 0 and 1, and a service is named once."""
    candidates = INDEX.identify(sample.number(random))
    confidences = [candidate.confidence for candidate in candidates]

    assert confidences == sorted(confidences, reverse=True)
    assert all(0 < confidence <= 1 for confidence in confidences)
    assert len({(candidate.carrier, candidate.service) for candidate in candidates}) == len(candidates)


@pytest.mark.parametrize(
    ("number", "carriers"),
    [
        ("1Z40A7W90300005016", ["ups"]),
        ("A0000000126", ["ups", "amazon"]),
        ("00340434000000123457", ["dhl", "dhl-paket"]),  # usps_20 passes as well, and stays below the floor
        ("02390000000100001236", ["fedex"]),
        ("4021017000000047", ["canada-post", "evri"]),
        ("RR100002344GB", ["royal-mail"]),
        ("RX100002344GB", ["royal-mail", "dhl"]),
        ("RR100002344DE", ["deutsche-post", "dhl-paket"]),
        ("RR100002344CA", ["canada-post"]),
        ("RR100002344US", ["usps"]),
        ("RR100002344AE", ["s10"]),
        ("RR100002344ZZ", []),
        ("JJD0000000000001234", ["yodel", "dhl"]),
        ("420440009400111898765400001239", ["usps"]),
        ("not a number at all", []),
        ("", []),
        ("\U0001f4e6", []),
        ("1" * 500, []),
    ],
)
def test_who_wins_and_why(number: str, carriers: list[str]) -> None:
    """Prefix and check digit come before a prefix, that before a check digit alone, and that before a length."""
    assert ranking(number) == carriers


def test_a_number_written_in_groups_is_identified() -> None:
    """Blanks, hyphens and dots between the groups of a printed number do not matter."""
    assert ranking("1z 40A 7W9 03 0000 501 6") == ["ups"]
    assert ranking("4021.0170.0000.0047")[0] == "canada-post"
    assert ranking("4021-0170-0000-0047")[0] == "canada-post"


def test_a_hyphen_that_belongs_to_the_number_stays() -> None:
    """LaserShip's 18 characters end in -1, which the first try keeps."""
    candidates = INDEX.identify("1ls7 2 34 013 123456-1")

    assert [(candidate.carrier, candidate.number) for candidate in candidates] == [("lasership", "1LS7234013123456-1")]


def test_a_weak_format_counts_only_when_its_carrier_is_named() -> None:
    """Twelve arbitrary digits are Canada Post's only if someone says so."""
    number = "100000000001"

    assert "canada-post" not in ranking(number)
    assert "canada-post" in ranking(number, carrier="canada-post")


def test_context_reorders_only_inside_one_strength() -> None:
    """A country or a named carrier decides between equals, and never lifts a length above a check digit."""
    equals = "100000001709"  # passes FedEx's, Purolator's and DHL's checks
    assert ranking(equals)[:3] == ["fedex", "purolator", "dhl"]

    assert ranking(equals, country="ca")[:3] == ["purolator", "fedex", "dhl"]
    assert ranking(equals, carrier="dhl")[:2] == ["dhl", "fedex"]
    assert ranking("4021017000000047", carrier="evri") == ["canada-post", "evri"]
    assert ranking("RR100002344DE", carrier="dhl-paket") == ["dhl-paket", "deutsche-post"]


def test_an_unlisted_but_used_country_ranks_lower() -> None:
    """Taiwan and Macao are not in the Universal Postal Union's list, but on parcels."""
    (candidate,) = INDEX.identify("RR100002344TW")

    assert candidate.service == "Chunghwa Post (S10)"
    assert candidate.confidence < INDEX.identify("RR100002344JP")[0].confidence


def test_a_link_is_built_when_it_is_asked_for() -> None:
    """Building links costs nothing until one is read, and gets the canonical number."""
    built = []

    def link(carrier: Carrier, number: str) -> str:
        built.append(number)
        return f"https://{carrier.id}.example/{number}"

    (candidate,) = FormatIndex(CARRIERS, link=link).identify(" 1z40 a7w9 0300 0050 16")
    assert not built

    assert candidate.url == "https://ups.example/1Z40A7W90300005016"
    assert INDEX.identify("1Z40A7W90300005016")[0].url is None


def test_a_number_goes_into_links_as_given_unless_its_format_is_canonical() -> None:
    """A printed number is brought into the carrier's own form; one without a known form is left alone."""
    own = Carrier(id="acme", name="Acme", numbers=(NumberFormat(service="Acme", pattern="AC[0-9]{4}"),))

    assert for_links(BY_ID["ups"], " 1z 40A 7W9 0300 0050 16 ") == "1Z40A7W90300005016"
    assert for_links(BY_ID["ups"], "no-1z number") == "no-1z number"
    assert for_links(own, "ac 1234") == "ac 1234"
    with pytest.raises(InvalidTrackingNumber):
        for_links(own, "../1")


def test_a_carrier_tells_whether_a_number_looks_like_its_own() -> None:
    """Also its weakest formats count, and a carrier without formats has nothing to object."""
    assert matches(BY_ID["ups"], "1Z40A7W90300005016")
    assert matches(BY_ID["canada-post"], "123456789012")
    assert not matches(BY_ID["ups"], "1Z40A7W90300005017")
    assert not matches(BY_ID["s10"], "RR100002344GB")
    assert matches(BY_ID["aramex"], "anything")


def test_a_format_without_lengths_is_found_by_its_pattern() -> None:
    """Lengths make matching quick, and are the author's choice; where they are given, only they match."""
    own = Carrier(
        id="acme",
        name="Acme",
        numbers=(
            NumberFormat(service="Free", pattern="AC[0-9]+"),
            NumberFormat(service="Bound", pattern="AC[0-9]+", lengths=(6,)),
        ),
    )
    index = FormatIndex([own])

    assert [candidate.service for candidate in index.identify("AC1234")] == ["Bound", "Free"]
    assert [candidate.service for candidate in index.identify("AC12345")] == ["Free"]
    assert index.identify("AC1234")[0].format == "acme:Bound"


def test_a_number_has_at_most_a_hundred_characters() -> None:
    """A hundred are taken and one more is refused."""
    assert as_given("1" * 100) == "1" * 100
    with pytest.raises(InvalidTrackingNumber, match="101 characters"):
        as_given("1" * 101)


def test_a_number_in_full_width_characters_is_identified() -> None:
    """An East Asian keyboard types other characters for the same number."""
    wide = "1Z40A7W90300005016".translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})

    assert ranking(wide) == ranking("1Z40A7W90300005016") != []


def test_a_shape_without_lengths_and_an_s10_country_are_a_carriers_own() -> None:
    """What looks like the carrier's is told by the pattern alone, or by the country at the number's end."""
    loose = Carrier(id="loose", name="Loose", numbers=(NumberFormat(service="a", pattern=r"L\d+"),))
    post = Carrier(id="post", name="Post", numbers=(NumberFormat(service="a", s10=("GB",)),))

    assert matches(loose, "L123")
    assert not matches(loose, "123")
    assert matches(post, "RR100002344GB")
    assert not matches(post, "RR100002344FR")
    assert not matches(post, "RR100002345GB")


def test_a_printed_prefix_is_stronger_than_a_length_whatever_the_country() -> None:
    """The country moves a candidate among those of its own strength and never past a stronger one."""
    prefixed = NumberFormat(service="a", pattern=r"(?P<prefix>AC)\d{6}", lengths=(8,))
    plain = NumberFormat(service="b", pattern=r"\w{8}", lengths=(8,))
    index = FormatIndex(
        [
            Carrier(id="acme", name="Acme", countries=("US",), numbers=(prefixed,)),
            Carrier(id="other", name="Other", countries=("IL",), numbers=(plain,)),
        ]
    )

    assert [each.carrier for each in index.identify("AC123456", country="IL")] == ["acme", "other"]
    assert [each.confidence for each in index.identify("AC123456")] == [0.7, 0.2]


def test_candidates_are_equal_for_what_they_say() -> None:
    """How a link would be built is no part of a candidate's value, nor of what is printed."""
    with_link = FormatIndex(CARRIERS, link=lambda carrier, number: f"https://{carrier.id}.example/{number}")
    plain, linked = INDEX.identify("1Z40A7W90300005016"), with_link.identify("1Z40A7W90300005016")

    assert plain == linked
    assert "_link" not in repr(plain)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("7.94645E+11", "a spreadsheet"),
        ("4,02102E+15", "a spreadsheet"),
        ("7E+11", "a spreadsheet"),
        ("794645000000.00", "a spreadsheet"),
        ("N/A", "no tracking number"),
        ("none", "no tracking number"),
        ("?", "no tracking number"),
    ],
)
def test_what_stands_in_place_of_a_number_is_told(text: str, says: str) -> None:
    """What a spreadsheet made of a number, and a word for none, are no numbers, and what to do is said."""
    told = stands_for_none(text)

    assert told is not None
    assert says in told[0]
    assert told[1]


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_carriers_number_stands_for_none(sample: Sample) -> None:
    """Whatever a carrier gives is taken as a number."""
    assert stands_for_none(sample.number(Random(3))) is None  # noqa: S311 - the same in every run
