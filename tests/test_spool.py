"""Lines are put together to parcels, wherever they stand, and what contradicts itself waits for a person."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook.errors import LedgerError
from parcelhook.fulfillment.files import BadLine, Line
from parcelhook.fulfillment.intake import Wish
from parcelhook.fulfillment.spool import Result, Spool, spooled

OTHER = "another line of the order cannot be used, so it is not known what remains for this parcel"


@pytest.fixture
def spool() -> Iterator[Spool]:
    """Give an empty spool."""
    with spooled() as made:
        yield made


def line(number: int, text: str) -> Line:
    """Give a line: order, number, item, quantity, key, link, carrier, as far as they are given, apart by blanks."""
    names = ("order_id", "tracking_number", "line_item_id", "quantity", "key", "tracking_url", "carrier")
    values = [value.strip("-") for value in text.split()]
    return Line(number, text, {"carrier": "ups", **dict(zip(names, values, strict=False))})


def bad(number: int, text: str) -> BadLine:
    """Give such a line that has something wrong with it."""
    return BadLine(number, text, "it is bad", "Mend it.", row=line(number, text).row)


def take(spool: Spool, *texts: str) -> None:
    """Take in lines, the first of them the file's second; those that begin with an exclamation mark are bad."""
    spool.take(
        bad(number, text.removeprefix("!")) if text.startswith("!") else line(number, text)
        for number, text in enumerate(texts, 2)
    )
    spool.sort()


def wishes(spool: Spool) -> dict[int, Wish]:
    """Give what is to be shipped, by its first line."""
    return {each.number: each.wish for call in spool.calls() for each in call}


def failures(spool: Spool) -> dict[int, str]:
    """Give what is wrong, by line."""
    assert all(result.what_to_do for result in spool.results() if result.state == "FAILED")
    return {result.line: result.error for result in spool.results() if result.state == "FAILED"}


def test_a_line_is_a_parcel(spool: Spool) -> None:
    """Every column arrives where it belongs, and what is empty is none."""
    take(spool, "o-1 N1 item 2 k-1 https://x.example/1", "o-2 N2")

    assert wishes(spool) == {
        2: Wish(
            order_id="o-1",
            carrier="ups",
            parcels=(("N1", "https://x.example/1"),),
            items={"item": 2},
            key="k-1",
            source="file",
        ),
        3: Wish(order_id="o-2", carrier="ups", parcels=(("N2", None),), source="file"),
    }


def test_items_of_one_parcel_are_put_together_wherever_they_stand(spool: Spool) -> None:
    """Lines that name one order and number are one parcel, at its first line; an item without quantity is all of it."""
    take(spool, "o-1 N1 a 1", "o-2 N2 a 1", *(f"p-{n} M{n}" for n in range(300)), "o-1 N1 b 2", "o-1 N3 c")

    found = wishes(spool)
    assert len(found) == 303
    assert [dict(found[line].items) for line in (2, 3, 305)] == [{"a": 1, "b": 2}, {"a": 1}, {"c": None}]


def test_lines_with_one_key_are_one_fulfillment_of_several_parcels(spool: Spool) -> None:
    """Their numbers keep the order of the file, and quantities of an item in several parcels add up."""
    take(spool, "o-1 N2 a 1 k-1", "o-1 N1 a 2 k-1", "o-1 N2 b 1 k-1", "o-2 N3 - - k-1", "o-2 N4 - - k-1")

    found = wishes(spool)
    assert [(wish.parcels, dict(wish.items)) for wish in found.values()] == [
        ((("N2", None), ("N1", None)), {"a": 3, "b": 1}),
        ((("N3", None), ("N4", None)), {}),
    ]


@pytest.mark.parametrize(("first", "second"), [("a 1", "a 1"), ("a", "a"), ("", "")])
@pytest.mark.parametrize("spelling", ["AB12-99", "ab1299"])
def test_the_same_line_twice_ships_once_and_is_told(spool: Spool, first: str, second: str, spelling: str) -> None:
    """However the number is typed, it is one parcel with what is in it once."""
    take(spool, f"o-1 AB12-99 {first}", f"o-1 {spelling} {second}")

    (wish,) = wishes(spool).values()
    assert wish.parcels == (("AB12-99", None),)
    assert list(wish.items.values()) in ([1], [None], [])
    assert failures(spool) == {3: "line 2 says the same parcel and item already"}


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ("o-1 N1 a 1", "o-1 N1 a 2", "says the same parcel and item already"),
        ("o-1 N1 a 1", "o-1 n-1 a", "says the same parcel and item already"),
        ("o-1 N1 a 1", "o-1 N1", "only one of the two names items"),
        ("o-1 N1", "o-1 N1 a 1", "only one of the two names items"),
        ("o-1 N1 a 1 - https://x.example/1", "o-1 N1 b 1 - https://x.example/2", "another link"),
        ("o-1 N1 a 1 - - ups", "o-1 N1 b 1 - - dhl", "another carrier"),
        ("o-1 N1 a 1 k - ups", "o-1 N2 b 1 k - dhl", "another carrier"),
    ],
)
def test_a_parcel_that_contradicts_itself_waits(spool: Spool, first: str, second: str, problem: str) -> None:
    """Which of its lines is right nobody can tell, so none of it is shipped, and the other orders are."""
    take(spool, first, second, "o-2 N9")

    assert [wish.order_id for wish in wishes(spool).values()] == ["o-2"]
    ((number, error),) = failures(spool).items()
    assert (number, problem in error) == (2, True)
    assert [each[0] for each in spool.left()] == [2, 3, 4]
    assert error.startswith("line 3: line 2")


def test_a_bad_line_fails_its_whole_parcel(spool: Spool) -> None:
    """Were the rest of the parcel shipped, the bad line could not be corrected any more; both are handed back."""
    take(spool, "o-1 N1 a 1", "!o-1 N1 b 0", "!o-2 N2 a 0", "o-2 N2 b 1", "o-3 N3")

    assert [wish.order_id for wish in wishes(spool).values()] == ["o-3"]
    assert failures(spool) == {2: "line 3: it is bad", 4: "it is bad"}
    assert [each[0] for each in spool.left()][:4] == [2, 3, 4, 5]


@pytest.mark.parametrize("broken", ["!o-1 - b 1", "!o-1 N9 b 0"], ids=["without a number", "of another parcel"])
def test_a_bad_line_holds_back_what_takes_all_that_remains(spool: Spool, broken: str) -> None:
    """What the bad line is about would be taken with it; a parcel that says what is in it goes."""
    take(spool, "o-1 N1", "o-1 N2 a 1", broken, "o-1 N3 c", "o-2 N4")

    assert [wish.parcels[0][0] for wish in wishes(spool).values()] == ["N2", "N4"]
    assert failures(spool) == {2: OTHER, 4: "it is bad", 5: OTHER}


def test_a_parcel_found_impossible_later_holds_it_back_too(spool: Spool) -> None:
    """An unknown carrier of one parcel is no better than a bad line."""
    spool.take([line(2, "o-1 N1"), line(3, "o-1 N2 a 1"), line(4, "o-2 N3")])
    spool.fail(3, error="no such carrier", what_to_do="Mend it.")
    spool.sort()

    assert list(wishes(spool)) == [4]
    assert failures(spool) == {2: OTHER, 3: "no such carrier"}


def test_only_one_parcel_can_take_all_that_remains(spool: Spool) -> None:
    """The first one does, and the second is told apart with what can be done about it."""
    take(spool, "o-1 N1", "o-2 N2", "o-1 N3", "o-1 N4 a 1")

    assert list(wishes(spool)) == [2, 3, 5]
    assert "an earlier line ships all that remains" in failures(spool)[4]


def test_what_was_shipped_before_takes_no_remainder_from_others(spool: Spool) -> None:
    """A second parcel that is known to be shipped is no failure."""
    spool.take([line(2, "o-1 N1"), line(3, "o-1 N2")])
    spool.mark(3, state="CREATED")
    spool.sort()

    assert list(wishes(spool)) == [2]
    assert failures(spool) == {}


def test_all_that_remains_of_an_item_is_unknown_beside_another_parcel_with_it(spool: Spool) -> None:
    """How much the other one leaves depends on which goes first, so the quantity must be said."""
    take(spool, "o-1 N1 a 1", "o-1 N2 a", "o-1 N3 b", "o-2 N4 a")

    assert list(wishes(spool)) == [2, 4, 5]
    assert "another parcel has some of the same line item" in failures(spool)[3]


def test_a_call_holds_a_hundred_orders_sorted_by_carrier(spool: Spool) -> None:
    """All parcels of an order go in one call, and carriers come one after the other."""
    texts = [f"o-{n} N{n}-{part} a{part} 1 - - {('ups', 'dhl')[n % 2]}" for part in "xy" for n in range(150)]
    take(spool, *texts)

    calls = list(spool.calls())

    assert [len(call) for call in calls] == [200, 100]
    orders = [{each.wish.order_id for each in call} for call in calls]
    assert not orders[0] & orders[1]
    assert [{each.wish.carrier for each in call} for call in calls] == [{"dhl", "ups"}, {"ups"}]
    assert all([each.number for each in call] == sorted(each.number for each in call) for call in calls)


def test_calls_are_filled_with_what_is_still_to_be_shipped(spool: Spool) -> None:
    """What is known to be shipped already leaves no half-empty calls."""
    take(spool, *(f"o-{n} N{n}" for n in range(250)))
    for number in range(2, 252, 2):
        spool.mark(number, state="CREATED")

    spool.sort()

    assert [len(call) for call in spool.calls()] == [100, 25]
    assert (spool.total(), spool.dealt_with()) == (250, 125)


def test_hostile_text_is_kept_as_it_is(spool: Spool) -> None:
    """Quotes, NULs and escapes are texts like others."""
    nasty = "';DROP TABLE wish;--\0\x1b[31m\N{PILE OF POO}"
    spool.take([Line(2, nasty, {"order_id": nasty, "carrier": nasty, "tracking_number": nasty, "key": nasty})])
    spool.sort()

    (wish,) = wishes(spool).values()
    assert (wish.order_id, wish.carrier, wish.parcels, wish.key) == (nasty, nasty, ((nasty, None),), nasty)
    assert [each[1] for each in spool.left()] == [nasty]


TEXTS = st.builds(
    "{}o-{} N{} {} {}".format,
    st.sampled_from(["", "", "", "!"]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from("ab-"),
    st.integers(1, 2),
).map(lambda text: text.partition(" -")[0])


@given(st.lists(TEXTS, max_size=12))
def test_no_line_is_lost_and_no_item_ships_twice(texts: list[str]) -> None:
    """Each line is in a parcel that ships, or handed back; no parcel of a bad line ships, and no number in two."""
    with spooled() as spool:
        take(spool, *texts)
        shipped = wishes(spool)
        results: list[Result] = list(spool.results())
        left = {number: state for number, _, state, *_ in spool.left()}

    numbers = [(wish.order_id, wish.parcels) for wish in shipped.values()]
    assert len(set(numbers)) == len(numbers)
    assert set(left) == set(range(2, 2 + len(texts)))
    assert {result.line for result in results if result.state == ""} == set(shipped)
    for number, text in enumerate(texts, 2):
        order, parcel, *_ = text.lstrip("!").split()
        if text.startswith("!"):
            assert left[number] == "FAILED"
            assert (order, ((parcel, None),)) not in numbers
    said: dict[tuple[str, str, str], int] = {}
    for text in texts:
        order, parcel, *item = text.lstrip("!").split()
        if item:
            said.setdefault((order, parcel, item[0]), int(item[1]))
    for wish in shipped.values():
        for item_id, quantity in wish.items.items():
            assert said[wish.order_id, wish.parcels[0][0], item_id] == quantity


def test_the_spool_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a file stays on disk, also where the command ended in an error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def die() -> None:
        with spooled() as spool:
            take(spool, "o-1 N1")
            assert list(tmp_path.iterdir())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die()

    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder, and how another one is named."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    with pytest.raises(LedgerError, match="none") as caught, spooled():
        pytest.fail("it was opened")

    assert "TMPDIR" in caught.value.what_to_do


FILL = """
from parcelhook.errors import LedgerError
from parcelhook.fulfillment.files import Line
from parcelhook.fulfillment.spool import spooled

row = {"order_id": "o-1", "carrier": "ups", "tracking_number": "N1"}
try:
    with spooled() as spool:
        spool.take(Line(n, "x" * 1000, {**row, "order_id": str(n)}) for n in range(100_000))
except LedgerError as error:
    print(error.message, "|", error.what_to_do)
"""


def test_a_disk_that_is_full_is_told() -> None:
    """Where the lines find no room, nothing is begun, and it is said where room is needed."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    ended = subprocess.run(
        [sys.executable, "-c", FILL], preexec_fn=limit, capture_output=True, text=True, timeout=30, check=True
    )

    assert "cannot be kept in" in ended.stdout
    assert "TMPDIR" in ended.stdout
