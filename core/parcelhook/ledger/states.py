"""The states of a shipment, and which may follow which: the one table every move is checked against."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a shipment is between being wanted and being a fulfillment at Wix."""

    WAITING_NUMBER = "WAITING_NUMBER"
    WAITING_LINK = "WAITING_LINK"
    READY = "READY"
    SENDING = "SENDING"
    CREATED = "CREATED"
    FAILED = "FAILED"
    NEEDS_REVIEW = "NEEDS_REVIEW"
    CANCELED = "CANCELED"
    DELETED = "DELETED"


class BookingState(StrEnum):
    """How far a booking at a carrier has come."""

    BOOKING = "BOOKING"
    BOOKED = "BOOKED"
    FAILED = "FAILED"
    NEEDS_REVIEW = "NEEDS_REVIEW"
    CANCELED = "CANCELED"


FOLLOWERS: Final[Mapping[State, frozenset[State]]] = {
    State.WAITING_NUMBER: frozenset(
        {State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.FAILED, State.NEEDS_REVIEW, State.CANCELED}
    ),
    # A number that Wix has on this very order already makes a shipment created without a call.
    State.WAITING_LINK: frozenset(
        {
            State.WAITING_LINK,
            State.READY,
            State.SENDING,
            State.CREATED,
            State.FAILED,
            State.NEEDS_REVIEW,
            State.CANCELED,
        }
    ),
    State.READY: frozenset(
        {
            State.READY,
            State.WAITING_LINK,
            State.SENDING,
            State.CREATED,
            State.FAILED,
            State.NEEDS_REVIEW,
            State.CANCELED,
        }
    ),
    # An order canceled while a call is under way is dealt with once the call's outcome is known.
    State.SENDING: frozenset({State.SENDING, State.CREATED, State.READY, State.FAILED, State.NEEDS_REVIEW}),
    State.CREATED: frozenset({State.CREATED, State.NEEDS_REVIEW, State.DELETED}),
    State.FAILED: frozenset(
        {State.WAITING_NUMBER, State.WAITING_LINK, State.READY, State.NEEDS_REVIEW, State.CANCELED}
    ),
    State.NEEDS_REVIEW: frozenset(
        {
            State.WAITING_NUMBER,
            State.WAITING_LINK,
            State.READY,
            State.CREATED,
            State.FAILED,
            State.NEEDS_REVIEW,
            State.CANCELED,
            State.DELETED,
        }
    ),
    State.CANCELED: frozenset(),
    State.DELETED: frozenset(),
}
