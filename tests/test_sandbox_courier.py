"""The sandbox's courier books once, tells where parcels are, and has links that cannot be guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook.sandbox import Running, SandboxSettings, running
from parcelhook.sandbox.courier import tracking_number
from sandbox_client import Json, Wix, ok

RECIPIENT = {"name": "Alex Example", "city": "Springfield"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one sandbox for this file."""
    with running(SandboxSettings(rate_limit=0)) as sandbox:
        yield sandbox


@pytest.fixture
def wix(sandbox: Running) -> Iterator[Wix]:
    """Control it."""
    with Wix(sandbox) as wix:
        yield wix


@pytest.fixture
def courier(wix: Wix) -> Iterator[httpx.Client]:
    """Call the courier."""
    headers = {"x-courier-key": str(wix.ready["courier_key"])}
    carriers = wix.ready["carriers"]
    assert isinstance(carriers, dict)
    with httpx.Client(base_url=carriers["courier"], headers=headers) as client:
        yield client


def book(courier: httpx.Client, reference: object, **changes: object) -> httpx.Response:
    """Book a parcel."""
    body: Json = {"reference": reference, "recipient": RECIPIENT, "items": 1}
    return courier.post("/parcels", json=body | changes)


def codes(parcel: Json) -> list[str]:
    """Give the codes of a parcel's events."""
    return [event["code"] for event in parcel["events"]]


@given(serial=st.integers(1, 80_000_000))
def test_numbers_have_a_check_digit(serial: int) -> None:
    """A number is LC, eight digits, and the digit that makes the weighted sum a multiple of ten."""
    number = tracking_number(serial)
    digits = [int(digit) for digit in number[2:]]

    assert re.fullmatch(r"LC\d{9}", number)
    assert (sum(digit * weight for digit, weight in zip(digits, [3, 1] * 4 + [1], strict=True))) % 10 == 0


def test_a_reference_books_once(courier: httpx.Client) -> None:
    """The same booking again answers 200 with the same parcel; with other data it is a conflict."""
    first, again, other = book(courier, "R-1"), book(courier, "R-1"), book(courier, "R-1", items=2)

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json()
    assert set(first.json()) == {"number", "reference", "tracking_page"}
    assert other.json()["error"]["code"] == "reference_taken"
    assert courier.get("/parcels", params={"reference": "R-1"}).json() == {"parcels": [first.json()]}
    assert courier.get("/parcels", params={"reference": "R-none"}).json() == {"parcels": []}


@pytest.mark.parametrize(
    "changes",
    [{"reference": ""}, {"reference": "x" * 101}, {"reference": 5}, {"recipient": None}, {"items": 0}, {"items": "1"}],
)
def test_a_booking_is_checked(courier: httpx.Client, changes: Json) -> None:
    """A booking without reference, recipient or items is refused."""
    answer = book(courier, **{"reference": "R-bad"} | changes)

    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert courier.post("/parcels", content=b"{").status_code == 422
    assert courier.get("/parcels").status_code == 422


def test_the_page_needs_its_token(courier: httpx.Client) -> None:
    """The tracking page shows the number to whoever has the token, and is not there for anyone else."""
    parcel = book(courier, "R-page").json()
    page = httpx.get(parcel["tracking_page"])
    bare = parcel["tracking_page"].split("?")[0]

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert parcel["number"] in page.text
    assert [httpx.get(url).status_code for url in (bare, f"{bare}?t=x", f"{bare}9?t=x")] == [404] * 3


def test_nothing_without_the_key(courier: httpx.Client) -> None:
    """Every call of the API needs the courier's key."""
    for headers in ({}, {"x-courier-key": "wrong"}):
        courier.headers.pop("x-courier-key", None)
        courier.headers.update(headers)
        answers = [
            book(courier, "R-key"),
            courier.get("/parcels/LC1"),
            courier.delete("/parcels/LC1"),
            courier.post("/parcels/status", json={"numbers": ["LC1"]}),
            courier.get("/parcels?reference=R"),
        ]
        assert [answer.status_code for answer in answers] == [401] * 5


@pytest.mark.parametrize(
    ("journey", "course"),
    [
        ("delivered", "10 20 25 30 40 50"),
        ("attempt", "10 20 30 40 45 40 50"),
        ("returned", "10 20 30 40 45 60"),
    ],
)
def test_journeys(wix: Wix, courier: httpx.Client, journey: str, course: str) -> None:
    """A journey goes step by step or to its end; its events have code, text, place and a time with offset, rising."""
    number = book(courier, f"R-{journey}").json()["number"]
    seen = [codes(courier.get(f"/parcels/{number}").json())]
    ok(wix.control("POST", f"parcels/courier/{number}", {"journey": journey, "step": 3}))
    seen.append(codes(courier.get(f"/parcels/{number}").json()))
    ok(wix.control("POST", f"parcels/courier/{number}", {"journey": journey}))
    parcel = courier.get(f"/parcels/{number}").json()

    times = [datetime.fromisoformat(event["time"]) for event in parcel["events"]]
    assert seen == [["10"], course.split()[:3]]
    assert codes(parcel) == course.split()
    assert all(moment.utcoffset() is not None for moment in times)
    assert times == sorted(set(times))
    assert all(event["text"] and event["place"] for event in parcel["events"])


def test_what_happened_stays_when_the_journey_changes(wix: Wix, courier: httpx.Client) -> None:
    """Events that two journeys share keep their times."""
    number = book(courier, "R-turn").json()["number"]
    before = ok(wix.control("POST", f"parcels/courier/{number}", {"journey": "attempt", "step": 5}))["events"]
    after = ok(wix.control("POST", f"parcels/courier/{number}", {"journey": "returned"}))["events"]

    assert after[:5] == before


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("courier/{number}", {"journey": "lost"}, 400),
        ("courier/{number}", {}, 400),
        ("courier/{number}", {"journey": "delivered", "step": 9}, 400),
        ("courier/{number}", {"journey": "delivered", "step": -1}, 400),
        ("courier/LC0", {"journey": "delivered"}, 404),
        ("fedex/{number}", {"journey": "delivered"}, 400),
    ],
)
def test_a_journey_that_makes_no_sense(wix: Wix, courier: httpx.Client, path: str, body: Json, status: int) -> None:
    """An unknown journey, step, parcel or carrier is refused with a reason."""
    number = book(courier, "R-sense").json()["number"]

    answer = wix.control("POST", f"parcels/{path.format(number=number)}", body)

    assert answer.status_code == status
    assert answer.json()["error"]


def test_several_parcels_at_once(courier: httpx.Client) -> None:
    """Up to 25 numbers are answered in one call, the unknown ones by name."""
    numbers = [book(courier, f"R-many-{index}").json()["number"] for index in range(24)]

    answer = courier.post("/parcels/status", json={"numbers": [*numbers, "LC0"]}).json()
    malformed: list[Json] = [{"numbers": ["x"] * 26}, {"numbers": []}, {}]
    refused = [courier.post("/parcels/status", json=body) for body in malformed]

    assert [parcel["number"] for parcel in answer["parcels"]] == numbers
    assert answer["not_found"] == ["LC0"]
    assert [answer.status_code for answer in refused] == [422] * 3


def test_cancelling(wix: Wix, courier: httpx.Client) -> None:
    """A parcel can be cancelled until it is collected, more than once."""
    kept, gone = (book(courier, reference).json()["number"] for reference in ("R-kept", "R-gone"))
    ok(wix.control("POST", f"parcels/courier/{kept}", {"journey": "delivered", "step": 2}))

    answers = [courier.delete(f"/parcels/{number}").status_code for number in (gone, gone, kept, "LC0")]

    assert answers == [200, 200, 409, 404]
    assert courier.get(f"/parcels/{gone}").json()["cancelled"] is True
    assert courier.get(f"/parcels/{kept}").json()["cancelled"] is False
    assert courier.get("/parcels/LC0").json()["error"]["code"] == "unknown_parcel"


def test_an_untold_booking_is_found_by_its_reference(wix: Wix, courier: httpx.Client) -> None:
    """A booking whose answer was lost is there, and booking again gives the same parcel."""
    wix.control("POST", "faults", {"route": "courier-book", "effect": "untold"})

    with pytest.raises(httpx.TransportError):
        book(courier, "R-lost")
    found = courier.get("/parcels", params={"reference": "R-lost"}).json()["parcels"]

    assert [parcel["reference"] for parcel in found] == ["R-lost"]
    assert book(courier, "R-lost").json() == found[0]


def test_the_courier_can_fail(wix: Wix, courier: httpx.Client) -> None:
    """Faults befall bookings and status calls, and the courier's calls are no calls of Wix's."""
    number = book(courier, "R-fail").json()["number"]
    wix.control("POST", "faults", {"route": "courier-book", "status": 503})
    wix.control("POST", "faults", {"route": "courier-status", "status": 429, "retry_after": 3, "times": 2})

    booked, one = book(courier, "R-fail-2"), courier.get(f"/parcels/{number}")
    many = courier.post("/parcels/status", json={"numbers": [number]})

    assert (booked.status_code, one.status_code, many.status_code) == (503, 429, 429)
    assert one.headers["retry-after"] == "3"
    assert courier.get("/parcels", params={"reference": "R-fail-2"}).json() == {"parcels": []}
    assert not [call for call in wix.control("GET", "calls").json() if "courier" in call["path"]]
