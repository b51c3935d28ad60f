"""A small local courier: books parcels, knows where they are, and has links that no template can build."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from parcelhook.sandbox.orders import now
from parcelhook.sandbox.validation import Json

TEXTS = {
    "10": "Announced by the shop",
    "20": "Collected",
    "25": "Label printed again",
    "30": "At the sorting centre",
    "40": "Out for delivery",
    "45": "Nobody home",
    "50": "Delivered",
    "60": "Returned to the shop",
}
JOURNEYS: Mapping[str, tuple[str, ...]] = {
    "delivered": ("10", "20", "25", "30", "40", "50"),
    "attempt": ("10", "20", "30", "40", "45", "40", "50"),
    "returned": ("10", "20", "30", "40", "45", "60"),
}
MAX_NUMBERS = 25
_PLACES = {"10": "Online", "25": "Online"}
_ZONE = timezone(timedelta(hours=2))


class CourierRefusal(Exception):
    """What the courier answers with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def body(self) -> Json:
        """Write the error."""
        return {"error": {"code": self.code, "message": str(self)}}


@dataclass
class Parcel:
    """One parcel: who booked it, its page and what happened to it."""

    number: str
    reference: str
    request: Json
    tracking_page: str
    token: str
    events: list[Json] = field(default_factory=list)
    cancelled: bool = False

    def booking(self) -> Json:
        """Write what the one who booked is told."""
        return {"number": self.number, "reference": self.reference, "tracking_page": self.tracking_page}

    def progress(self) -> Json:
        """Write where the parcel is."""
        return self.booking() | {"cancelled": self.cancelled, "events": self.events}

    def move(self, journey: Sequence[str], step: int) -> None:
        """Let the first ``step`` events of a journey have happened; what they share with the past stays."""
        kept: list[Json] = []
        for code, event in zip(journey[:step], self.events, strict=False):
            if event["code"] != code:
                break
            kept.append(event)
        for code in journey[len(kept) : step]:
            earliest = datetime.fromisoformat(kept[-1]["time"]) + timedelta(milliseconds=1) if kept else now()
            moment = max(now(), earliest).astimezone(_ZONE).isoformat(timespec="milliseconds")
            kept.append({"code": code, "text": TEXTS[code], "time": moment, "place": _PLACES.get(code, "Springfield")})
        self.events = kept


class Courier:
    """Keep the parcels, by number and by the reference they were booked under."""

    def __init__(self) -> None:
        self.url = ""
        self._parcels: dict[str, Parcel] = {}
        self._by_reference: dict[str, Parcel] = {}

    def book(self, request: Json) -> tuple[Parcel, bool]:
        """Book a parcel and tell whether it is new; the same reference books once."""
        self._check(request)
        request = {key: request[key] for key in ("reference", "recipient", "items")}
        known = self._by_reference.get(request["reference"])
        if known is not None:
            if known.request != request:
                raise CourierRefusal(409, "reference_taken", "the reference was booked with other data")
            return known, False
        number = tracking_number(len(self._parcels) + 1)
        token = secrets.token_urlsafe(12)
        page = f"{self.url}/track/{number}?t={token}"
        parcel = Parcel(number, request["reference"], request, page, token)
        parcel.move(JOURNEYS["delivered"], 1)
        self._parcels[number] = self._by_reference[parcel.reference] = parcel
        return parcel, True

    def find(self, reference: str) -> list[Parcel]:
        """Find the parcels that were booked under a reference."""
        parcel = self._by_reference.get(reference)
        return [] if parcel is None else [parcel]

    def parcel(self, number: str) -> Parcel:
        """Give one parcel, or refuse because there is none."""
        if number not in self._parcels:
            raise CourierRefusal(404, "unknown_parcel", f"no parcel has the number {number}")
        return self._parcels[number]

    def cancel(self, number: str) -> Parcel:
        """Cancel a parcel that was not collected yet; again is the same as once."""
        parcel = self.parcel(number)
        if len(parcel.events) > 1:
            raise CourierRefusal(409, "collected", "the parcel was collected already")
        parcel.cancelled = True
        return parcel

    def statuses(self, request: Json) -> Json:
        """Tell where up to 25 parcels are."""
        numbers = request.get("numbers")
        if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
            raise CourierRefusal(422, "invalid", "numbers must be an array of strings")
        if not 1 <= len(numbers) <= MAX_NUMBERS:
            raise CourierRefusal(422, "invalid", f"numbers must hold 1 to {MAX_NUMBERS} numbers")
        known = [self._parcels[number].progress() for number in numbers if number in self._parcels]
        return {"parcels": known, "not_found": [number for number in numbers if number not in self._parcels]}

    def move(self, number: str, journey: str, step: int | None) -> Parcel:
        """Move a parcel along a journey, to its end unless a step is given."""
        if journey not in JOURNEYS:
            raise CourierRefusal(400, "invalid", f"journey must be one of {', '.join(JOURNEYS)}")
        codes = JOURNEYS[journey]
        step = len(codes) if step is None else step
        if not 0 <= step <= len(codes):
            raise CourierRefusal(400, "invalid", f"step must be 0 to {len(codes)} for this journey")
        parcel = self.parcel(number)
        parcel.move(codes, step)
        return parcel

    def _check(self, request: Json) -> None:
        reference, recipient, items = (request.get(key) for key in ("reference", "recipient", "items"))
        problem = None
        if not isinstance(reference, str) or not 1 <= len(reference) <= 100:  # noqa: PLR2004
            problem = "reference must be a string of 1 to 100 characters"
        elif not isinstance(recipient, dict) or not recipient:
            problem = "recipient must be an object"
        elif type(items) is not int or items < 1:
            problem = "items must be an integer of at least 1"
        if problem is not None:
            raise CourierRefusal(422, "invalid", problem)


def tracking_number(serial: int) -> str:
    """Write a serial as ``LC``, eight digits and a check digit (mod 10, weights 3 and 1 from the left)."""
    digits = f"{10_000_000 + serial}"
    total = sum(int(digit) * (3, 1)[index % 2] for index, digit in enumerate(digits))
    return f"LC{digits}{-total % 10}"


def page(parcel: Parcel) -> str:
    """Write the tracking page."""
    rows = "".join(f"<li>{event['time']} {event['text']}, {event['place']}</li>" for event in parcel.events)
    title = f"Parcel {parcel.number}"
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><ol>{rows}</ol></body></html>"
    )
