"""The letters DHL Express sends in ``status``.

DHL publishes no list; OK, WC, DF, PL and RR are in public payloads, the others are unconfirmed.
"""

from __future__ import annotations

from typing import Final

from parcelhook import Reason, Scan, Status, StatusChange

LETTERS: Final = {
    "OK": StatusChange(status=Status.DELIVERED),
    "WC": StatusChange(status=Status.OUT_FOR_DELIVERY),
    "OF": StatusChange(status=Status.OUT_FOR_DELIVERY),
    "PU": StatusChange(status=Status.PICKED_UP),
    "DF": StatusChange(status=Status.IN_TRANSIT),
    "PL": StatusChange(status=Status.IN_TRANSIT),
    "RR": StatusChange(status=Status.IN_TRANSIT),
    "AF": StatusChange(status=Status.IN_TRANSIT),
    "AR": StatusChange(status=Status.IN_TRANSIT),
    "CC": StatusChange(status=Status.AVAILABLE_FOR_PICKUP),
    "CA": StatusChange(status=Status.ATTEMPT_FAILED, reason=Reason.RECIPIENT_ABSENT),
    "NH": StatusChange(status=Status.ATTEMPT_FAILED, reason=Reason.RECIPIENT_ABSENT),
    "RD": StatusChange(status=Status.ATTEMPT_FAILED, reason=Reason.REFUSED),
    "BA": StatusChange(status=Status.EXCEPTION, reason=Reason.ADDRESS),
    "OH": StatusChange(status=Status.EXCEPTION, reason=Reason.HOLD),
    "RT": StatusChange(status=Status.RETURN_TO_SENDER),
}


def meaning(scan: Scan) -> StatusChange | None:
    """Give what an Express scan's letters mean; None for other divisions and letters, and where the code objects.

    DHL's own code is the surer of the two about delivery: OK does not overrule a code that says otherwise.
    """
    if scan.extra.get("service") != "express":
        return None
    change = LETTERS.get(scan.extra.get("status", "").strip().upper())
    if change is not None and change.status is Status.DELIVERED and scan.code.strip().lower() != "unknown":
        return None
    return change
