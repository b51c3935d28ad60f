"""What FedEx says beside its coarse codes: exception code, kind of delay, and text.

FedEx publishes no list of exception codes; these are in its sandbox guide, its API documents and public payloads.
"""

from __future__ import annotations

from typing import Final

from parcelhook import Reason, Scan, Status, StatusChange

EXCEPTIONS: Final = {
    "3": StatusChange(status=Status.EXCEPTION, reason=Reason.ADDRESS),
    "7": StatusChange(status=Status.ATTEMPT_FAILED, reason=Reason.REFUSED),
    "8": StatusChange(status=Status.ATTEMPT_FAILED, reason=Reason.RECIPIENT_ABSENT),
    "15": StatusChange(status=Status.ATTEMPT_FAILED, reason=Reason.RECIPIENT_ABSENT),
    "83": StatusChange(status=Status.EXCEPTION, reason=Reason.OTHER),
    "99": StatusChange(status=Status.EXCEPTION, reason=Reason.OTHER),
    "A25": StatusChange(status=Status.IN_TRANSIT, reason=Reason.CUSTOMS),
    "A3": StatusChange(status=Status.IN_TRANSIT),
    "A47": StatusChange(status=Status.AVAILABLE_FOR_PICKUP),
    "A52": StatusChange(status=Status.EXCEPTION, reason=Reason.DELAY),
}
"""``exceptionCode``, or ``reason`` in a summary, without the zeros in front of it."""

DELAYS: Final = {
    "WEATHER": Reason.WEATHER,
    "OPERATIONAL": Reason.DELAY,
    "LOCAL": Reason.DELAY,
    "GENERAL": Reason.DELAY,
    "CLEARANCE": Reason.CUSTOMS,
}
"""``delayDetail.type``, which counts while ``delayDetail.status`` is DELAYED."""


def refined(status: Status, reason: Reason | None, scan: Scan) -> StatusChange:
    """Give status and reason of a scan whose code means ``status``; only an exception can become something else."""
    if status is not Status.EXCEPTION:
        exception = EXCEPTIONS.get(_code(scan))
    else:
        exception = _exception(scan)
        if exception and exception.status is not Status.EXCEPTION:
            return exception
    return StatusChange(status=status, reason=(exception and exception.reason) or _delay(scan) or reason)


def _code(scan: Scan) -> str:
    return (scan.extra.get("exceptionCode") or scan.extra.get("reason") or "").strip().lstrip("0").upper()


def _exception(scan: Scan) -> StatusChange | None:
    further = (scan.extra.get(name, "") for name in ("exceptionDescription", "reasonDescription"))
    text = " ".join((scan.description, *further)).lower()
    # Sources give 7 two meanings, and 7, 8 and 15 the same text: where the text is clear, it is safer than the number.
    if "refused" in text:
        return StatusChange(status=Status.ATTEMPT_FAILED, reason=Reason.REFUSED)
    if "not available" in text or "closed" in text:
        return EXCEPTIONS["8"]
    code = _code(scan)
    # Redirected to a pickup point is said before and after the parcel got there.
    if code == "A47" and not ("available" in text or "ready for" in text):
        return StatusChange(status=Status.IN_TRANSIT)
    return EXCEPTIONS.get(code)


def _delay(scan: Scan) -> Reason | None:
    delayed = scan.extra.get("delayDetail.status") == "DELAYED"
    return DELAYS.get(scan.extra.get("delayDetail.type", ""), Reason.DELAY) if delayed else None
