"""Bookings: a row before the carrier is called, so that an interrupted one is never repeated blindly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger_samples import wanted
from parcelhook.errors import InputError, LedgerError, WrongState
from parcelhook.ledger import BookingState, Ledger, State
from parcelhook.ledger.rows import BookingRow
from parcelhook.models import BookedParcel, Booking

pytest_plugins = ["ledger_databases"]

BOOKED = Booking(key="key-1", parcels=(BookedParcel(tracking_number="AC1"),), reference="R1")

STEPS: dict[BookingState, Callable[[Ledger], BookingRow]] = {
    BookingState.BOOKING: lambda ledger: ledger.bookings.again("default", key="key-1"),
    BookingState.BOOKED: lambda ledger: ledger.bookings.finish("default", answer=BOOKED),
    BookingState.FAILED: lambda ledger: ledger.bookings.fail("default", key="key-1", error="refused"),
    BookingState.NEEDS_REVIEW: lambda ledger: ledger.bookings.needs_review("default", key="key-1", error="who knows"),
    BookingState.CANCELED: lambda ledger: ledger.bookings.cancel("default", key="key-1"),
}

WAYS = {
    BookingState.BOOKING: (),
    BookingState.BOOKED: (BookingState.BOOKED,),
    BookingState.FAILED: (BookingState.FAILED,),
    BookingState.NEEDS_REVIEW: (BookingState.NEEDS_REVIEW,),
    BookingState.CANCELED: (BookingState.BOOKED, BookingState.CANCELED),
}

FORBIDDEN = {
    BookingState.BOOKING: {BookingState.CANCELED},
    BookingState.BOOKED: {BookingState.BOOKING, BookingState.FAILED},
    BookingState.FAILED: {BookingState.BOOKED, BookingState.FAILED, BookingState.NEEDS_REVIEW},
    BookingState.NEEDS_REVIEW: {BookingState.NEEDS_REVIEW},
    BookingState.CANCELED: set(BookingState),
}


def begin(ledger: Ledger) -> tuple[BookingRow, bool]:
    """Begin the booking of a shipment that has no number yet."""
    row, _ = ledger.shipments.add(wanted(intent_key="key-1", parcels=(), state=State.WAITING_NUMBER))
    return ledger.bookings.begin("default", key="key-1", shipment_id=row.id, carrier="acme")


def test_begun_once(ledger: Ledger) -> None:
    """A key is begun once; after an interruption it is found as it was left."""
    booking, is_new = begin(ledger)
    again, is_new_again = begin(ledger)

    assert (is_new, is_new_again) == (True, False)
    assert booking == again
    assert booking.state is BookingState.BOOKING


def test_answer_is_kept(ledger: Ledger) -> None:
    """What the carrier booked is read back whole."""
    booking, _ = begin(ledger)
    ledger.bookings.finish("default", answer=BOOKED)

    kept = ledger.bookings.get("default", key="key-1")

    assert (kept.state, kept.booking) == (BookingState.BOOKED, BOOKED)
    assert ledger.bookings.find(shipment_id=booking.shipment_id, state=BookingState.BOOKED) == [kept]
    assert ledger.bookings.find(store="default", state=BookingState.FAILED) == []


@pytest.mark.parametrize("before", BookingState)
@pytest.mark.parametrize("after", BookingState)
def test_steps_of_a_booking(ledger: Ledger, before: BookingState, after: BookingState) -> None:
    """Each state is followed by those that make sense; nothing is booked again under a key that is booked."""
    begin(ledger)
    for step in WAYS[before]:
        STEPS[step](ledger)

    if after in FORBIDDEN[before]:
        with pytest.raises(WrongState, match=f"{before}.*{after}"):
            STEPS[after](ledger)
        assert ledger.bookings.get("default", key="key-1").state is before
    else:
        assert STEPS[after](ledger).state is after


def test_failure_says_what_to_do(ledger: Ledger) -> None:
    """A failure keeps its error until the next try, which is counted."""
    begin(ledger)
    failed = ledger.bookings.fail("default", key="key-1", error="no such service", what_to_do="Choose another.")
    again = ledger.bookings.again("default", key="key-1")

    assert (failed.error, failed.what_to_do) == ("no such service", "Choose another.")
    assert (again.error, again.attempts) == ("", 1)


def test_unknown_booking(ledger: Ledger) -> None:
    """A key nobody booked under, and a shipment nobody added, are refused."""
    with pytest.raises(InputError, match="key-9"):
        ledger.bookings.get("default", key="key-9")
    with pytest.raises(LedgerError):
        ledger.bookings.begin("default", key="key-9", shipment_id="no-such-id", carrier="acme")
