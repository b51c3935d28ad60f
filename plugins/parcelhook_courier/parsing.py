"""The courier's answers, turned into parcelhook's models; nothing here asks anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

from pydantic import AwareDatetime, BaseModel, JsonValue, ValidationError

from parcelhook import BookedParcel, Booking, CarrierAnswer, CarrierFault, ParsedAnswer, Scan, TrackingReport

_SUCCESSES = range(200, 300)
_PASSING = frozenset({429, *range(500, 600)})


class Parcel(BaseModel):
    """A parcel as the courier tells of it after a booking."""

    number: str
    tracking_page: str


class BookedParcels(BaseModel):
    """The parcels under one reference."""

    parcels: tuple[Parcel, ...]


class Event(BaseModel):
    """One event of a parcel; its time states its offset."""

    code: str
    text: str = ""
    time: AwareDatetime
    place: str = ""


class Progress(BaseModel):
    """Where one parcel is."""

    number: str
    cancelled: bool = False
    events: tuple[Event, ...]


class StatusPage(BaseModel):
    """The answer about up to 25 parcels, each to be read by itself."""

    parcels: tuple[Mapping[str, JsonValue], ...]
    not_found: tuple[str, ...] = ()


class Problem(BaseModel):
    """What the courier says is wrong."""

    code: str
    message: str = ""


class Refusal(BaseModel):
    """The body of every answer that is not a success."""

    error: Problem


def as_printed(number: str) -> str:
    """Give a number as the courier prints it: no blanks, no hyphens, upper case."""
    return "".join(number.split()).replace("-", "").upper()


def booking(key: str, parcels: Sequence[Parcel]) -> Booking:
    """Give the booking that parcels make up, with the links of all of them."""
    booked = (BookedParcel(tracking_number=each.number, tracking_url=each.tracking_page) for each in parcels)
    return Booking(key=key, parcels=tuple(booked))


def parse(answer: CarrierAnswer) -> ParsedAnswer:
    """Read an answer of the status call; raise pydantic's ValidationError for a success that has not its shape."""
    if answer.status not in _SUCCESSES:
        return ParsedAnswer(errors=(_refusal(answer),))
    page = StatusPage.model_validate_json(answer.body)
    read = [_read(parcel) for parcel in page.parcels]
    missing = [TrackingReport(number=number, found=False) for number in page.not_found]
    return ParsedAnswer(
        reports=(*(each for each in read if isinstance(each, TrackingReport)), *missing),
        errors=tuple(each for each in read if isinstance(each, CarrierFault)),
    )


def _refusal(answer: CarrierAnswer) -> CarrierFault:
    try:
        problem = Refusal.model_validate_json(answer.body).error
    except ValidationError:  # what stands before the courier's service answers with pages of its own
        problem = Problem(code=str(answer.status), message="an answer without the courier's reason")
    return CarrierFault(code=problem.code, message=problem.message, retryable=answer.status in _PASSING)


def _read(parcel: Mapping[str, JsonValue]) -> TrackingReport | CarrierFault:
    try:
        progress = Progress.model_validate(parcel)
    except ValidationError as error:
        wrong = sorted({".".join(map(str, each["loc"])) for each in error.errors(include_input=False)})
        message = f"cannot be read: {', '.join(wrong)}"
        return CarrierFault(code="unreadable", message=message, number=str(parcel.get("number", "")))
    scans = tuple(map(_scan, progress.events))
    return TrackingReport(number=progress.number, scans=scans, summary=_summary(progress, scans))


def _scan(event: Event) -> Scan:
    return Scan(
        code=event.code,
        description=event.text,
        time=event.time.astimezone(UTC),
        local_time=event.time,
        location=event.place,
    )


def _summary(progress: Progress, scans: Sequence[Scan]) -> Scan | None:
    """Tell of a cancellation, which the courier marks on the parcel without an event or a time of its own."""
    if not progress.cancelled or not scans:
        return None
    return Scan(code="cancelled", description="Cancelled", time=max(scan.time for scan in scans))
