"""Tracking numbers: what may be one, whose it is, and whether its check digit holds."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from parcelhook.carrier import Carrier, CheckDigit, NumberFormat
from parcelhook.errors import InvalidTrackingNumber

MAX_LENGTH: Final = 100
SUGGESTION_FLOOR: Final = 5
"""Formats of a lower rank accept nearly anything, and are tried only for the carrier that was named."""

LinkBuilder: TypeAlias = Callable[[Carrier, str], str | None]

_ZERO_WIDTH: Final = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_BLANKS: Final = " \t\n\r\f\v\u0085\u00a0\u1680\u2028\u2029"
_WITHOUT_ZERO_WIDTH: Final = str.maketrans("", "", _ZERO_WIDTH)
_WITHOUT_BLANKS: Final = str.maketrans("", "", _ZERO_WIDTH + _BLANKS)
_WITHOUT_HYPHENS: Final = str.maketrans("", "", "-\u2010\u2011")
_WITHOUT_DOTS: Final = str.maketrans("", "", "-.")
_ALLOWED: Final = frozenset(string.ascii_letters + string.digits + " -._/+:*")


def as_given(number: str, *, field: str = "number") -> str:
    """Give a tracking number as Wix and links get it: as it was typed, without blanks at its ends.

    Characters of no width vanish and full-width ones become ASCII. Raise InvalidTrackingNumber, which names ``field``,
    for what is no number, or could turn a link elsewhere: empty, over 100 characters, or holding anything but ASCII
    letters, digits, blanks and ``-._/+:*``, or ``..`` or ``//``.
    """
    given = unicodedata.normalize("NFKC", number.translate(_WITHOUT_ZERO_WIDTH)).strip()
    fault = _fault_of(given)
    if fault is not None:
        problem, what_to_do = fault
        msg = f"{field}: the tracking number {problem}. {what_to_do}"
        raise InvalidTrackingNumber(msg, field=field, what_to_do=what_to_do)
    return given


def _fault_of(given: str) -> tuple[str, str] | None:
    if not any(character.isalnum() for character in given):
        problem = "holds no letter or digit" if given else "is empty"
        return problem, "Enter the number printed on the label."
    if len(given) > MAX_LENGTH:
        return f"has {len(given)} characters, more than {MAX_LENGTH}", "Enter one number at a time."
    for character in given:
        if character not in _ALLOWED:
            return f"holds {_name_of(character)}", "Copy it again, with only the letters and digits on the label."
    for pair in ("..", "//"):
        if pair in given:
            return f"holds {pair!r}", "Enter the number alone, not a path or a link."
    return None


def _name_of(character: str) -> str:
    if character.isprintable():
        return f"the character {character!r}"
    kinds = {"\n": "a line break", "\r": "a line break", "\t": "a tab"}
    return kinds.get(character, f"an invisible character (U+{ord(character):04X})")


def stands_for_none(number: str) -> tuple[str, str] | None:
    """Say what a text is that stands where a number was or should be, and what to do about it; None for any other.

    A spreadsheet makes ``7.94645E+11`` or ``794645000000.00`` of a long number, and people write ``n/a``.
    """
    if _SPOILT.fullmatch(number):
        what_to_do = "Take the number from where it came from: make the column text before you paste it."
        return f"a spreadsheet has made {number} of the tracking number, and its digits are lost", what_to_do
    if number.casefold() in _PLACEHOLDERS:
        return f"{number!r} is no tracking number", "Give the number the carrier gave the parcel."
    return None


def normalise(number: str) -> str:
    """Give the form in which numbers are compared: NFKC, upper case, no blanks, hyphens or zero-width characters."""
    if number.isascii():
        return number.translate(_WITHOUT_BLANKS).translate(_WITHOUT_HYPHENS).upper()
    folded = unicodedata.normalize("NFKC", number).translate(_WITHOUT_BLANKS).translate(_WITHOUT_HYPHENS).upper()
    # What was dropped may have parted characters that compose, and upper case may decompose others.
    return folded if folded == number else normalise(folded)


def _spellings(number: str) -> Iterator[str]:
    """Give the texts to try in turn: a hyphen that belongs to the number first, then none, and no dots."""
    if number.isalnum() and number.isascii():
        yield number.upper()
        return
    text = number if number.isascii() else unicodedata.normalize("NFKC", number)
    kept = text.translate(_WITHOUT_BLANKS).upper()
    if not kept.isascii():
        return
    yield kept
    bare = kept.translate(_WITHOUT_DOTS)
    if bare != kept:
        yield bare


_LETTERS: Final = string.ascii_uppercase.encode()
_VALUES: Final = bytes.maketrans(
    string.digits.encode() + _LETTERS, bytes([*range(10), *((letter - 3) % 10 for letter in _LETTERS)])
)
_DOUBLED: Final = bytes.maketrans(bytes(range(10)), bytes(sum(divmod(2 * digit, 10)) for digit in range(10)))
_ZEROS_AT_MOST: Final = 4
_SPOILT: Final = re.compile(r"\d+([.,]\d*)?E\+\d+|\d+[.,]\d*E\d+|\d+[.,]0+", re.IGNORECASE)
_PLACEHOLDERS: Final = frozenset({"n/a", "na", "#n/a", "none", "null", "nil", "tbd", "unknown", "pending", "-", "?"})
_ISO7064_ALPHABET: Final = string.digits + string.ascii_uppercase
_S10_WEIGHTS: Final = (8, 6, 4, 2, 3, 5, 9, 7)


def _weighted_sum(serial: str, weights: Sequence[int], direction: str = "left") -> int:
    values = serial.encode().translate(_VALUES)
    if direction == "right":
        values = values[::-1]
    total = 0
    for start, weight in enumerate(weights):
        total += weight * sum(values[start :: len(weights)])
    return total


def _mod10_weighted(rule: CheckDigit, serial: str) -> str:
    return str(-(rule.offset + _weighted_sum(serial, rule.weights, rule.direction)) % 10)


def _weighted_mod11_mod10(rule: CheckDigit, serial: str) -> str:
    return str((rule.offset + _weighted_sum(serial, rule.weights, rule.direction)) % 11 % 10)


def _luhn(_: CheckDigit, serial: str) -> str:
    values = serial.encode().translate(_VALUES)[::-1]
    return str(-(sum(values[0::2].translate(_DOUBLED)) + sum(values[1::2])) % 10)


def _mod7(_: CheckDigit, serial: str) -> str:
    return str(int(serial) % 7)


def _s10(_: CheckDigit, serial: str) -> str:
    check = 11 - _weighted_sum(serial, _S10_WEIGHTS) % 11
    return {10: "0", 11: "5"}.get(check, str(check))


def _iso7064_mod37_36(_: CheckDigit, serial: str) -> str:
    check = 36
    for character in serial:
        check = ((check + _ISO7064_ALPHABET.index(character)) % 36 or 36) * 2 % 37
    return _ISO7064_ALPHABET[(37 - check) % 36]


ALGORITHMS: Final[Mapping[str, Callable[[CheckDigit, str], str]]] = {
    "mod10_weighted": _mod10_weighted,
    "weighted_mod11_mod10": _weighted_mod11_mod10,
    "luhn": _luhn,
    "mod7": _mod7,
    "s10": _s10,
    "iso7064_mod37_36": _iso7064_mod37_36,
}
"""Each check digit algorithm, giving the check character of a serial.

- ``mod10_weighted``: the weighted sum of the digits plus ``offset``, up to the next multiple of ten.
- ``weighted_mod11_mod10``: the rest of the weighted sum by 11, and of that by 10 (FedEx Express).
- ``luhn``: every second digit from the right doubled, less 9 where that is above 9, up to the next ten.
- ``mod7``: the rest of the whole serial by 7, never 7, 8 or 9 (DHL Express).
- ``s10``: UPU standard S10, weights 8 6 4 2 3 5 9 7; 11 less the rest by 11, where 10 becomes 0 and 11 becomes 5.
- ``iso7064_mod37_36``: ISO 7064 MOD 37,36 over digits and letters (DPD).
"""

_S10_PATTERN: Final = re.compile(r"(?P<prefix>[A-Z]{2})(?P<serial>\d{8})(?P<check>\d)(?P<country>[A-Z]{2})")
_S10_LENGTH: Final = 13
_S10_CHECK: Final = CheckDigit(algorithm="s10")


def valid_check_digit(format: NumberFormat, match: re.Match[str]) -> bool:  # noqa: A002 - the field's own word
    """Tell whether the check digit of a number that matched the format's shape holds; True for one without."""
    return _holds(_S10_CHECK if format.s10 else format.check_digit, match)


def _holds(rule: CheckDigit | None, match: re.Match[str]) -> bool:
    if rule is None:
        return True
    serial = match["serial"]
    if not serial.isdigit() and not rule.letters and rule.algorithm != "iso7064_mod37_36":
        return False
    if rule.prepend and not (rule.prepend_unless and re.match(rule.prepend_unless, serial)):
        serial = rule.prepend + serial
    return ALGORITHMS[rule.algorithm](rule, serial) == match["check"]


class _Entry:
    """A format of a carrier, made ready for matching."""

    __slots__ = ("carrier", "format", "fullmatch", "id", "only_named", "rule")

    def __init__(self, carrier: Carrier, format: NumberFormat) -> None:  # noqa: A002 - the field's own word
        self.carrier = carrier
        self.format = format
        self.id = format.id or ("s10" if format.s10 else f"{carrier.id}:{format.service}")
        self.fullmatch = (_S10_PATTERN if format.s10 else re.compile(format.pattern)).fullmatch
        self.rule = _S10_CHECK if format.s10 else format.check_digit
        ranks = (format.rank, *(override.rank for override in format.rank_overrides))
        self.only_named = max(ranks) < SUGGESTION_FLOOR

    def accepts(self, text: str) -> bool:
        """Tell whether a normalised text is a number of this format: length, country, shape and check digit."""
        match = self.resembles(text)
        return match is not None and _holds(self.rule, match)

    def resembles(self, text: str) -> re.Match[str] | None:
        """Give the match of a text that has the right length, country and shape, whatever its check digit."""
        right_length = not self.format.lengths or len(text) in self.format.lengths
        right_country = not self.format.s10 or text[-2:] in self.format.s10
        return self.fullmatch(text) if right_length and right_country else None

    def rank(self, text: str) -> int:
        """Give the format's rank for a text that matched it."""
        for override in self.format.rank_overrides:
            if re.search(override.pattern, text):
                return override.rank
        return self.format.rank


@dataclass(slots=True)  # not frozen: that would double the time of identify
class Candidate:
    """A carrier that may have given a number, and why.

    ``number`` is the spelling that matched the format named by ``format``; ``check_digit`` tells that one was verified;
    ``confidence`` is between 0 and 1 and orders candidates, it is no probability.
    """

    carrier: str
    service: str
    check_digit: bool
    confidence: float
    format: str
    number: str
    _link: Callable[[], str | None] = field(repr=False, compare=False)

    @property
    def url(self) -> str | None:
        """Build the tracking link when it is asked for; None where the carrier has none, or the index no builder.

        Raise InvalidTrackingNumber where the number as typed cannot stand in a link.
        """
        return self._link()


class _Found(NamedTuple):
    rank: int
    entry: _Entry
    match: re.Match[str]

    @property
    def strength(self) -> tuple[bool, bool]:
        """Tell what speaks for the match: a literal prefix, a check digit."""
        prefixed = "prefix" in self.match.re.groupindex and self.match["prefix"] is not None
        return prefixed, self.entry.rule is not None


class FormatIndex:
    """The number formats of all carriers, by length and by S10 country."""

    def __init__(self, carriers: Iterable[Carrier], *, link: LinkBuilder | None = None) -> None:
        """Index the carriers' formats; ``link`` builds a candidate's ``url`` out of carrier and number as given."""
        self._link = link
        self._by_country: dict[str, list[_Entry]] = {}
        entries = [_Entry(carrier, format_) for carrier in carriers for format_ in carrier.numbers]
        shapes = [entry for entry in entries if not entry.format.s10]
        self._any_length = [entry for entry in shapes if not entry.format.lengths]
        self._by_length = {
            length: [entry for entry in shapes if not entry.format.lengths or length in entry.format.lengths]
            for length in {length for entry in shapes for length in entry.format.lengths}
        }
        for entry in entries:
            for country in entry.format.s10:
                self._by_country.setdefault(country, []).append(entry)

    def identify(self, number: str, *, carrier: str | None = None, country: str | None = None) -> list[Candidate]:
        """Give the carriers that may have given a number, best first; none for what matches no format.

        ``carrier`` is an id the merchant named: its weakest formats are tried too. It, and the ``country`` the parcel
        comes from or goes to (ISO 3166, two letters), reorder candidates only inside one strength of evidence.
        """
        for text in _spellings(number):
            found = self._search(text, carrier)
            if not found:
                continue
            if len(found) > 1:
                found.sort(key=_place)
                if carrier is not None or country is not None:
                    found = _in_context(found, carrier=carrier, country=country.upper() if country else None)
                services = {(each.entry.carrier.id, each.entry.format.service): each for each in reversed(found)}
                found = list(reversed(services.values()))
            return [self._candidate(each, text, number) for each in found]
        return []

    def _search(self, text: str, carrier: str | None) -> list[_Found]:
        found = []
        for entries in (
            self._by_length.get(len(text), self._any_length),
            self._by_country.get(text[-2:], ()) if len(text) == _S10_LENGTH else (),
        ):
            for entry in entries:
                if entry.only_named and entry.carrier.id != carrier:
                    continue
                match = entry.fullmatch(text)
                if match is None or not _holds(entry.rule, match):
                    continue
                rank = entry.rank(text)
                if rank >= SUGGESTION_FLOOR or entry.carrier.id == carrier:
                    found.append(_Found(rank, entry, match))
        return found

    def _candidate(self, found: _Found, text: str, number: str) -> Candidate:
        carrier, format_, link = found.entry.carrier, found.entry.format, self._link

        def build() -> str | None:
            return link(carrier, text if format_.canonical else as_given(number)) if link else None

        checked = found.entry.rule is not None
        return Candidate(carrier.id, format_.service, checked, found.rank / 100, found.entry.id, text, build)


def _place(found: _Found) -> tuple[int, str, str]:
    """Give the place in the list: best rank first, then ids, so that nothing is left to chance."""
    return -found.rank, found.entry.id, found.entry.carrier.id


def _in_context(found: list[_Found], *, carrier: str | None, country: str | None) -> list[_Found]:
    """Let the context reorder candidates of equal strength; each strength keeps its places in the list."""
    ordered = list(found)
    for strength in {each.strength for each in found}:
        places = [place for place, each in enumerate(found) if each.strength == strength]
        peers = [found[place] for place in places]
        peers.sort(key=lambda each: (each.entry.carrier.id != carrier, country not in each.entry.carrier.countries))
        for place, each in zip(places, peers, strict=True):
            ordered[place] = each
    return ordered


class Shapes:
    """The shapes of one carrier's numbers, made ready for many numbers."""

    def __init__(self, carrier: Carrier) -> None:
        self._entries = [_Entry(carrier, format_) for format_ in carrier.numbers]

    def accept(self, number: str) -> bool:
        """Tell whether a number has a shape the carrier gives; True for a carrier whose shapes are not known."""
        return not self._entries or any(self.matching(number))

    def matching(self, number: str) -> Iterator[tuple[NumberFormat, str]]:
        """Yield the formats that accept a number, each with the spelling it accepts."""
        for text in _spellings(number):
            for entry in self._entries:
                if entry.accepts(text):
                    yield entry.format, text

    def zeros_missing(self, number: str) -> str | None:
        """Give a number with the leading zeros it has probably lost, or None where nothing speaks for that.

        A spreadsheet takes them off. What speaks for it: the number has no shape of the carrier's, whatever its check
        digit, and with the zeros it has one that a check digit confirms.
        """
        if not (number.isascii() and number.isdigit()) or any(entry.resembles(number) for entry in self._entries):
            return None
        for zeros in range(1, _ZEROS_AT_MOST + 1):
            whole = "0" * zeros + number
            if any(format_.check_digit for format_, _ in self.matching(whole)):
                return whole
        return None


def matches(carrier: Carrier, number: str) -> bool:
    """Tell whether a number has a shape the carrier gives; True for a carrier whose shapes are not known."""
    return Shapes(carrier).accept(number)


def for_links(carrier: Carrier, number: str) -> str:
    """Give a number as the carrier's pages want it: as given, or normalised where its format is canonical."""
    given = as_given(number)
    return next((text for format_, text in Shapes(carrier).matching(given) if format_.canonical), given)
