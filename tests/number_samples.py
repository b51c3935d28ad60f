"""Shapes of every built-in number format, written apart from the formats, and valid numbers made of them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import parcelhook_canada_post
import parcelhook_catalog
import parcelhook_dhl
import parcelhook_fedex
import parcelhook_ups
import parcelhook_usps
from parcelhook import Carrier, CheckDigit, NumberFormat
from parcelhook.numbers import valid_check_digit

PREDEFINED = [
    parcelhook_fedex.carrier,
    parcelhook_ups.carrier,
    parcelhook_usps.carrier,
    parcelhook_dhl.carrier,
    parcelhook_canada_post.carrier,
]
CARRIERS: list[Carrier] = [*PREDEFINED, *parcelhook_catalog.carriers]

S10_SHAPE = re.compile(r"[A-Z]{2}(?P<serial>\d{8})(?P<check>\d)[A-Z]{2}")


class Sample(NamedTuple):
    """A shape: ``#`` is a digit, ``@`` a letter, ``&`` either, ``?`` the check character, the rest is literal."""

    carrier: str
    format: str
    shape: str

    @property
    def definition(self) -> NumberFormat:
        """Give the format as the carrier defines it."""
        formats = next(carrier for carrier in CARRIERS if carrier.id == self.carrier).numbers
        return next(each for each in formats if self.format in {each.id, each.s10 and "s10"})

    @property
    def suggested(self) -> bool:
        """Tell whether the format is tried without its carrier being named."""
        return self.definition.rank >= 5

    def text(self, random: Random) -> str:
        """Fill the shape at random, all but the check character."""
        kinds = {"#": string.digits, "@": string.ascii_uppercase, "&": string.digits + string.ascii_uppercase}
        return "".join(random.choice(kinds[place]) if place in kinds else place for place in self.shape)

    def number(self, random: Random) -> str:
        """Give a valid number of this shape."""
        return next(self.numbers(self.text(random), valid=True))

    def numbers(self, text: str, *, valid: bool) -> Iterator[str]:
        """Give the numbers that a filled shape becomes with its right, or with its wrong, check characters."""
        if "?" not in text:
            yield from [text] if valid else []
            return
        for check in string.digits + string.ascii_uppercase:
            number = text.replace("?", check)
            match = (S10_SHAPE if self.definition.s10 else re.compile(self.definition.pattern)).fullmatch(number)
            if match and valid_check_digit(self.definition, match) == valid:
                yield number


def _samples() -> Iterator[Sample]:
    for carrier, formats in _SHAPES.items():
        for format_, shapes in formats.items():
            for shape in [shapes] if isinstance(shapes, str) else shapes:
                yield Sample(carrier, format_, shape)


_SHAPES: dict[str, dict[str, str | list[str]]] = {
    "fedex": {
        "fedex_12": 11 * "#" + "?",
        "fedex_34": "1" + 32 * "#" + "?",
        "fedex_astra_32": "3" + 26 * "#" + "?####",
        "fedex_ground": 14 * "#" + "?",
        "fedex_ground_sscc_18": 17 * "#" + "?",
        "fedex_ground_96": "96" + 19 * "#" + "?",
        "fedex_ground_gsn": "96" + 31 * "#" + "?",
        "fedex_ground_economy_20": "###9" + 15 * "#" + "?",
    },
    "ups": {"ups": "1Z" + 15 * "&" + "?", "ups_waybill": [f"{letter}#########?" for letter in "AHJKTV"]},
    "usps": {
        "usps_impb_n": [
            "94###9" + 15 * "#" + "?",
            "94###0" + 15 * "#" + "?",
            "94###9" + 19 * "#" + "?",
            "94###8" + 19 * "#" + "?",
            "94###9" + 23 * "#" + "?",
            "420#####94###9" + 15 * "#" + "?",
            "420#########94###7" + 15 * "#" + "?",
        ],
        "usps_impb_c": [
            "92###9" + 15 * "#" + "?",
            "92###9" + 19 * "#" + "?",
            "93###4" + 15 * "#" + "?",
            "95###9" + 15 * "#" + "?",
            "95###1" + 19 * "#" + "?",
            "420#####92###9" + 15 * "#" + "?",
            "420#########93###0" + 15 * "#" + "?",
        ],
        "usps_legacy": ["91" + 19 * "#" + "?", "01" + 17 * "#" + "?", "420#####91" + 19 * "#" + "?"],
        "usps_20": "03" + 17 * "#" + "?",
        "s10": "@@########?US",
    },
    "dhl": {
        "dhl_express": ["#########?", "##########?"],
        "dhl_express_piece_id": ["JD@#########", "JJD@##########"],
        "dhl_paket_sscc": "00340434" + 11 * "#" + "?",
        "dhl_paket_sscc_340433": "00340433" + 11 * "#" + "?",
        "dhl_license_plate": ["JJD" + 13 * "#", "JJD" + 21 * "#"],
        "dhl_identcode_12": "###########?",
        "dhl_ecommerce": ["GM#" + 9 * "&", "LX#" + 38 * "&"],
        "dhl_ecommerce_14": 14 * "#",
    },
    "canada-post": {
        "canada_post": 15 * "#" + "?",
        "canada_post_12": 12 * "#",
        "canada_post_dnc": 15 * "#",
        "s10": "@@########?CA",
    },
    "dhl-paket": {"dhl_paket_sscc": "00340434" + 11 * "#" + "?", "s10": "@@########?DE"},
    "deutsche-post": {"s10": "@@########?DE"},
    "royal-mail": {"royal_mail_2d": 13 * "#" + "A#B#C#D#", "s10": "@@########?GB"},
    "parcelforce": {"parcelforce_9": "@@#######", "parcelforce_14": "@@@@##########"},
    "evri": {"evri_16": 16 * "#", "evri_letter": "@##" + 13 * "&", "evri_card": 8 * "#"},
    "yodel": {"yodel": ["JD" + 16 * "#", "JJD" + 16 * "#"]},
    "hermes-de": {"hermes_de_14": 13 * "#" + "?", "hermes_de_h20": "H" + 19 * "#"},
    "dpd": {"dpd": 27 * "#" + "?", "dpd_14": 14 * "#" + "?", "dpd_14_plain": 14 * "#"},
    "gls": {"gls_12": 11 * "#" + "?", "gls_11": 11 * "#", "gls_track_id": "Z&&&&&&&"},
    "postnl": {"postnl_3s": ["3S@@@########", "3S@@@##########", "3S@@@@#######", "3S@@@@#########"]},
    "la-poste": {"la_poste_13": "#@###########", "s10": "@@########?FR"},
    "inpost": {"inpost_24": 24 * "#"},
    "yunexpress": {"yunexpress": "YT" + 16 * "#"},
    "australia-post": {
        "auspost_article_16": "A&&" + 11 * "#" + "1#",
        "auspost_article": ["&&&" + 18 * "#", "&&&&&" + 18 * "#"],
        "auspost_consignment": ["&&&#######", "&&&&&#######"],
    },
    "postnord": {"s10": ["@@########?SE", "@@########?DK"]},
    "amazon": {
        "amazon_logistics": ["TBA############", "TBC############", "TBM############"],
        "amazon_international": ["A##########", "C##########", "F##########"],
    },
    "gofo": {"gofo_us": "GFUS" + 14 * "#"},
    "ontrac": {"ontrac_c": ["C#############?", "C4############?"], "ontrac_d": ["D#############?", "D5############?"]},
    "lasership": {
        "lasership_lx": "LX2#######",
        "lasership_1ls7": "1LS71##########",
        "lasership_1ls7_18": "1LS72##013######-1",
        "lasership_1lscx": "1LSCX" + 10 * "&",
    },
    "speedee": {"speedee": "SP" + 18 * "#"},
    "landmark": {"landmark_global": "LTN########N1"},
    "old-dominion": {
        "old_dominion": [f"{prefix}#######?" for prefix in ("777", "778", "072", "780")],
        "old_dominion_guaranteed": "80########?",
    },
    "purolator": {"purolator_numeric": "3##########?", "purolator_alpha": "@@@#########"},
    "canpar": {"canpar_22": "D" + 21 * "#"},
    "s10": {"s10": ["@@########?AE", "@@########?VU"]},
}

SAMPLES = list(_samples())


def detects_every_digit(rule: CheckDigit | None) -> bool:
    """Tell whether a rule notices any one wrong digit: its weights must have no factor in common with ten."""
    if rule is None:
        return False
    return rule.algorithm == "luhn" or (rule.algorithm == "mod10_weighted" and set(rule.weights) <= {1, 3, 7, 9})
