"""What a fulfillment says about its parcel: the merge of an update, and the links Wix builds."""

from __future__ import annotations

from parcelhook.sandbox.links import build_link, predefined
from parcelhook.sandbox.refusals import Invalid, Violation
from parcelhook.sandbox.settings import Switches
from parcelhook.sandbox.validation import STATUSES, TRACKING_KEYS, Json


def new_info(draft: Json, switches: Switches) -> Json:
    """Give the trackingInfo or customInfo, status and completed of a new fulfillment."""
    tracking, custom = draft.get("trackingInfo"), draft.get("customInfo")
    if tracking is not None and custom is not None:
        tracking, custom = (tracking, None) if switches.both_info_arms == "tracking" else (None, custom)
    info: Json = {}
    if tracking is not None:
        given = {key: tracking[key] for key in TRACKING_KEYS if tracking.get(key) is not None}
        info["trackingInfo"] = _linked(given, given=given, switches=switches)
    if custom is not None:
        info["customInfo"] = {"fieldsData": dict(custom.get("fieldsData") or {})}
    status = draft.get("status") or (switches.default_status if switches.default_status != "absent" else None)
    info |= _progress(status, draft.get("completed"), switches)
    return info


def changed(fulfillment: Json, changes: Json, switches: Switches) -> Json:
    """Give the fulfillment as an update leaves it: present keys are set, null clears, trackingInfo merges inside."""
    result = dict(fulfillment)
    arms = [arm for arm in ("trackingInfo", "customInfo") if changes.get(arm) is not None]
    if len(arms) > 1:
        arms = ["trackingInfo" if switches.both_info_arms == "tracking" else "customInfo"]
    for arm in ("trackingInfo", "customInfo"):
        if (arms or arm in changes) and arm not in arms:
            result.pop(arm, None)
    if "trackingInfo" in arms:
        merged = _merged(fulfillment.get("trackingInfo") or {}, changes["trackingInfo"], switches)
        result = {key: value for key, value in result.items() if key != "trackingInfo"}
        result |= {"trackingInfo": merged} if merged else {}
    if "customInfo" in arms:
        result["customInfo"] = {"fieldsData": dict(changes["customInfo"].get("fieldsData") or {})}
    _change_progress(result, changes, switches)
    return result


def _merged(present: Json, given: Json, switches: Switches) -> Json:
    merged = dict(present)
    given = {key: given[key] for key in TRACKING_KEYS if key in given}
    provider_changes = "shippingProvider" in given and given["shippingProvider"] != present.get("shippingProvider")
    if provider_changes and predefined(present.get("shippingProvider"), switches):
        # Wix built this link for the other provider; it was never the caller's.
        merged.pop("trackingLink", None)
    for key, value in given.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return _linked(merged, given=given, switches=switches)


def _linked(tracking: Json, *, given: Json, switches: Switches) -> Json:
    result = dict(tracking)
    name, number = tracking.get("shippingProvider"), tracking.get("trackingNumber")
    provider = predefined(name, switches)
    if provider is None:
        if name is not None and not tracking.get("trackingLink") and switches.custom_without_link == "refused":
            _refuse("trackingLink", f"must be provided, for {name!r} is not a predefined provider")
        return result
    cleared = "trackingLink" in given and given["trackingLink"] is None and switches.null_link == "cleared"
    own = given.get("trackingLink") is not None and switches.predefined_link == "caller"
    if number is None:
        if switches.predefined_without_number == "refused":
            _refuse("trackingNumber", f"must be provided for {name!r}")
        if not own:
            result.pop("trackingLink", None)
    elif cleared:
        result.pop("trackingLink", None)
    elif not own:
        result["trackingLink"] = build_link(provider, number, switches)
    return result


def _refuse(member: str, description: str) -> None:
    raise Invalid([Violation(f"fulfillment.trackingInfo.{member}", "REQUIRED", description)])


def _progress(status: str | None, completed: object, switches: Switches) -> Json:
    progress: Json = {}
    if completed and switches.completed_effect == "status":
        status = "Fulfilled"
    if status is not None:
        progress["status"] = status
    if completed is not None:
        progress["completed"] = completed
    return progress


def _change_progress(result: Json, changes: Json, switches: Switches) -> None:
    before = result.get("status")
    for key in ("status", "completed"):
        if key in changes:
            result.pop(key, None)
    result |= _progress(changes.get("status"), changes.get("completed"), switches)
    after = result.get("status")
    if before is None or after is None or switches.status_sequence == "free":
        return
    step = STATUSES.index(after) - STATUSES.index(before)
    if step < 0 or (step > 1 and switches.status_sequence == "stepwise"):
        raise Invalid([Violation("fulfillment.status", "STATUS_SEQUENCE", f"cannot move from {before} to {after}")])
