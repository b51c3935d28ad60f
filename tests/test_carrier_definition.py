"""A carrier's data is checked when it is loaded, and a mistake names the line it stands on."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from parcelhook.carrier import Capability, Carrier, CheckDigit, NumberFormat, StatusRow
from parcelhook.definition import Definition
from parcelhook.errors import InvalidCarrier, UnsupportedApi
from parcelhook.models import Reason, Status

ACME = r"""api = 1
id = "acme"
name = "Acme Couriers"
countries = ["IL"]
link = "https://track.acme.example/parcel/{number}"
host = "https://api.acme.example"

[[numbers]]
service = "Acme Express"
pattern = '(?P<prefix>AC)(?P<serial>\d{8})(?P<check>\d)'
check_digit = { algorithm = "mod10_weighted", weights = [3, 1] }

[statuses]
"10" = "pre_transit"
"20" = "in_transit"
"25" = "info"                                       # says nothing about the status
"31" = { status = "exception", reason = "address" }
"40" = "delivered"
"""


def read(folder: Path, text: str) -> tuple[Carrier, ...]:
    """Read a definition the way the operator's folder is read."""
    path = folder / "acme.toml"
    path.write_text(text, encoding="utf-8")
    return Carrier.read(path)


def test_a_definition_becomes_a_carrier(tmp_path: Path) -> None:
    """Everything an author writes is in the carrier, and nothing else."""
    (acme,) = read(tmp_path, ACME)

    assert (acme.id, acme.name, acme.countries) == ("acme", "Acme Couriers", ("IL",))
    assert acme.hosts == {"track.acme.example"}
    assert acme.numbers[0].check_digit == CheckDigit(algorithm="mod10_weighted", weights=(3, 1))
    assert acme.numbers[0].rank == 90
    assert acme.statuses["25"] == StatusRow(info=True)
    assert acme.statuses["31"] == StatusRow(status=Status.EXCEPTION, reason=Reason.ADDRESS)
    assert (acme.capabilities, acme.settings, acme.batch_size) == (frozenset(), None, 1)


def test_a_package_holds_its_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``Carrier.load(__package__)`` finds the file beside the code, and takes the settings model."""
    (tmp_path / "acme_of_definitions").mkdir()
    (tmp_path / "acme_of_definitions" / "carrier.toml").write_text(ACME + "[[bad", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(InvalidCarrier) as caught:
        Carrier.load("acme_of_definitions", settings=BaseModel)
    assert caught.value.where == "acme_of_definitions/carrier.toml:19"


MISTAKES = [
    # what is replaced, by what, the line it is on, what is said
    ('id = "acme"', 'id = "Acme Couriers"', 2, "id: "),
    ('name = "Acme Couriers"', "", 1, "name: is missing"),
    ('name = "Acme Couriers"', 'nam = "Acme"', 3, "nam: is not a known key; did you mean name?"),
    ("countries", "contries", 4, "contries: is not a known key; did you mean countries?"),
    ('name = "Acme Couriers"', "name = 3", 3, "name: should be text"),
    ('["IL"]', '"IL"', 4, "countries: should be a list"),
    ('["IL"]', '["IL", "isr"]', 4, "countries.1: should match the pattern ^[A-Z]{2}$"),
    ('["IL"]', '[\n  "IL",\n  # a comment, with "quotes"\n  "isr",\n]', 7, "countries.1: "),
    ("/parcel/{number}", "/parcel", 5, "link: has no {number}"),
    ("/parcel/{number}", "/parcel/{numbr}", 5, "link: holds {numbr}; known are country, locale, number"),
    ("/parcel/{number}", "/parcel/{number!r}", 5, "link: holds {number}"),
    ("https://track.acme.example/parcel", "http://track.acme.example", 5, "link: must begin with https://"),
    ("track.acme.example", "{country}.acme.example", 5, "link: must name its host literally"),
    ("track.acme.example", "bank.example@acme.example", 5, "link: must name its host literally"),
    ("https://api.acme.example", "http://api.acme.example", 6, "host: must be an https URL"),
    ("(?P<check>", "(?P<check", 10, "numbers.0.pattern: is no regular expression"),
    ("(?P<check>", "(", 8, "numbers.0: has a check_digit, so its pattern needs the groups"),
    ("mod10_weighted", "mod10", 11, "numbers.0.check_digit.algorithm: should be "),
    (", weights = [3, 1]", "", 11, "numbers.0.check_digit: mod10_weighted needs weights"),
    ("weights = [3, 1]", 'weights = [\n  3,\n  "x" ]', 13, "numbers.0.check_digit.weights.1: "),
    ('"in_transit"', '"moving"', 15, "statuses.20.status: should be 'unknown', "),
    ('reason = "address"', 'reason = "adress"', 17, "statuses.31.reason: "),
    (
        '"40" = "delivered"',
        '"40" = "delivered"\n" 40" = "exception"',
        19,
        'statuses. 40: gives the code " 40" two mean',
    ),
    ('"40" = "delivered"', '"40" = "delivered"\n"40" = "exception"', 19, "this is not TOML: "),
    ('"40" = "delivered"', "[quota]\nseconds = 60", 18, "quota.calls: is missing"),
    ("api = 1", 'api = 1\ntime_zone = "Mars/Olympus"', 2, "time_zone: is no time zone"),
    ("api = 1", 'api = 1\ncapabilities = ["track", "teleport"]', 2, "capabilities.1: should be "),
    ("api = 1", 'api = "one"', 1, "api: "),
    ('"25" = "info"', '"25" = "info', 16, "this is not TOML: "),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), MISTAKES, ids=[f"{row[2]}-{row[1][:20]}" for row in MISTAKES])
def test_a_mistake_names_file_and_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    """Each kind of mistake is told with the line it stands on and what is wrong there."""
    assert old in ACME

    with pytest.raises(InvalidCarrier) as caught:
        read(tmp_path, ACME.replace(old, new, 1))
    assert caught.value.where == f"{tmp_path / 'acme.toml'}:{line}"
    assert caught.value.message.startswith(f"{caught.value.where}: {said}")


SECOND_FORMAT = """
[[numbers]]
service = "Acme Sea"
pattern = "[0-9]{12}"
rank = 500
"""

MANY = """
[[carrier]]
id = "one"
name = "One"

[[carrier.numbers]]
service = "A"
pattern = "A"

[[carrier]]
id = "two"
name = "Two"
statuses.10 = "delivered"

[[carrier.numbers]]
service = "B"
pattern = "B"

[[carrier.numbers]]
service = "C"
pattern = "("

[carrier.status_tables.exception]
"01" = "exception"
"02" = "delivred"
"""


def test_the_second_format_is_told_from_the_first(tmp_path: Path) -> None:
    """A mistake in the second ``[[numbers]]`` is not looked for in the first."""
    with pytest.raises(InvalidCarrier, match=r"acme\.toml:23: numbers\.1\.rank"):
        read(tmp_path, ACME + SECOND_FORMAT)


def test_a_file_of_many_carriers(tmp_path: Path) -> None:
    """Each ``[[carrier]]`` is one, and a mistake in the second is found there."""
    right = MANY.replace('"("', '"C"').replace("delivred", "delivered")
    assert [carrier.id for carrier in read(tmp_path, right)] == ["one", "two"]

    with pytest.raises(InvalidCarrier, match=r"acme\.toml:21: carrier\.1\.numbers\.1\.pattern: "):
        read(tmp_path, MANY)
    with pytest.raises(InvalidCarrier, match=r"acme\.toml:25: carrier\.1\.status_tables\.exception\.02\.status: "):
        read(tmp_path, MANY.replace('"("', '"C"'))


def test_a_field_the_second_carrier_lacks(tmp_path: Path) -> None:
    """What is missing is told at the heading of the table it is missing from, though another table has it."""
    text = '[[carrier]]\nid = "a"\n\n[[carrier]]\nid = "b"\nname = "B"\n'

    with pytest.raises(InvalidCarrier, match=r"acme\.toml:1: carrier\.0\.name: is missing"):
        read(tmp_path, text)


@pytest.mark.parametrize(("text", "line"), [("carrier = []", 1), ('\ncarrier = [\n"x"]', 3)])
def test_what_is_no_carrier_at_all(tmp_path: Path, text: str, line: int) -> None:
    """An empty list and a list of something else are mistakes."""
    with pytest.raises(InvalidCarrier, match=rf"acme\.toml:{line}: "):
        read(tmp_path, text)


def test_codes_are_compared_as_scans_are(tmp_path: Path) -> None:
    """Codes that the width makes equal may not have two meanings, and may have one twice."""
    same = ACME + '"020" = "in_transit"\n'
    assert len(read(tmp_path, "code_width = 3\n" + same)[0].statuses) == 6

    with pytest.raises(InvalidCarrier, match=r'acme\.toml:20: statuses\.020: gives the code "020" two meanings'):
        read(tmp_path, "code_width = 3\n" + ACME + '"020" = "exception"\n')


def test_another_api_version_comes_before_all_else(tmp_path: Path) -> None:
    """A definition for a later parcelhook is incompatible, not full of mistakes."""
    with pytest.raises(UnsupportedApi, match=r"acme\.toml:1: is written for API version 2; .* understands 1"):
        read(tmp_path, ACME.replace("api = 1", "api = 2\nwarp = true"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are mistakes with the file's name."""
    with pytest.raises(InvalidCarrier, match=r"none\.toml: cannot be read"):
        Carrier.read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(InvalidCarrier, match=r"latin\.toml: cannot be read"):
        Carrier.read(tmp_path / "latin.toml")


def test_carriers_written_in_python_obey_the_same_rules() -> None:
    """A carrier made without TOML is checked too."""
    with pytest.raises(ValidationError, match="must begin with https"):
        Carrier(id="a", name="A", link="http://a.example/{number}")
    with pytest.raises(ValidationError, match="either a pattern or s10"):
        NumberFormat(service="S")
    made = Carrier(id="a", name="A", capabilities=frozenset({Capability.TRACK}))
    assert made.capabilities == {"track"}


@pytest.mark.parametrize(
    ("fields", "rank"),
    [
        ({"pattern": "AC(?P<serial>1)(?P<check>2)", "check_digit": {"algorithm": "luhn"}}, 50),
        ({"pattern": "(?P<prefix>AC)1"}, 70),
        ({"pattern": "1{9}"}, 20),
        ({"s10": ("IL",)}, 90),
        ({"pattern": "1{9}", "rank": 3}, 3),
    ],
)
def test_a_format_ranks_by_what_it_checks(fields: dict[str, object], rank: int) -> None:
    """A prefix and a check digit raise a format's rank, unless it states its own."""
    assert NumberFormat.model_validate({"service": "S", **fields}).rank == rank


KEYS = st.text(st.sampled_from('ab1-_ .="#[]{},é'), min_size=1, max_size=6)
SCALARS = st.one_of(
    st.integers(-9, 9).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.sampled_from(
        ['"a # b"', "'[x]'", '"\\"}"', '"""\nx = "1"\n"""', "'''\n[y]\n'''", "2026-05-01 10:00:00", "1.5e3"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[ # first\n" + ",\n".join(items) + " ]"),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda pairs: "{ " + ", ".join(f"{_quoted(key)} = {value}" for key, value in pairs.items()) + " }"
        ),
    ),
    max_leaves=6,
)


def _quoted(key: str) -> str:
    return '"' + key.replace('"', '\\"') + '"'


@settings(max_examples=30)
@given(st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_key_is_found_on_its_own_line(tables: list[dict[str, str]]) -> None:
    """In any TOML of array tables, a key's line is the line it was written on."""
    lines: list[str] = ["# a comment with [[brackets]]"]
    written: dict[tuple[str | int, ...], int] = {}
    for index, table in enumerate(tables):
        lines.append("[[ t ]]")
        written["t", index] = len(lines)
        for key, value in table.items():
            written["t", index, key] = len(lines) + 1
            lines.extend(f"{_quoted(key)} = {value}  # why".split("\n"))
    text = "\n".join(lines)
    definition = Definition.parse(text, where="x")

    assert tomllib.loads(text) == definition.data
    assert {path: definition.line_of(path) for path in written} == written
    assert all(definition.line_of(path) <= len(lines) for path in _paths(definition.data))


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*path, key))
