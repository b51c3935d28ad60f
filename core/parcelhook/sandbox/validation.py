"""The schema of what a client sends: types, lengths, formats (Fulfillment object, Order Fulfillments)."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias, TypeGuard
from urllib.parse import urlsplit

from parcelhook.sandbox.refusals import EMPTY, Invalid, Refusal, Violation
from parcelhook.sandbox.settings import Switches

JsonValue: TypeAlias = Any
Json = dict[str, JsonValue]

STATUSES = ("Pending", "Accepted", "Ready", "In_Delivery", "Fulfilled")
TRACKING_KEYS = ("trackingNumber", "shippingProvider", "trackingLink")
MAX_ORDERS = 100
MAX_LINE_ITEMS = 300
MAX_QUANTITY = 100_000
MAX_TEXT = 100
MAX_LINK = 2048

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_UNFIT_FOR_URL = re.compile(r"[\s\x00-\x1f\x7f<>\"\\^`{|}]")


class Checker:
    """Collect every violation of one request, then refuse it with all of them."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._missing = False
        self.violations: list[Violation] = []

    def fail(self, path: str, rule: str, description: str) -> None:
        """Note one violation."""
        self._missing = self._missing or rule == "REQUIRED"
        self.violations.append(Violation(path, rule, description))

    def finish(self) -> None:
        """Raise ``Invalid`` if anything was noted."""
        if self.violations:
            status = self._switches.missing_field_status if self._missing else 400
            detailed = self._switches.violated_rule == "detailed"
            raise Invalid(self.violations, status=status, detailed=detailed)

    def mapping(self, value: object, path: str) -> TypeGuard[Json]:
        """Require an object."""
        if value is None:
            self.fail(path, "REQUIRED", "is required")
        elif not isinstance(value, dict):
            self.fail(path, "FORMAT", "must be an object")
        return isinstance(value, dict)

    def array(self, value: object, path: str, *, maximum: int | None) -> TypeGuard[list[Any]]:
        """Require an array with at least one member and at most ``maximum``."""
        if value is None or value == []:
            self.fail(path, "REQUIRED", "is required and must not be empty")
        elif not isinstance(value, list):
            self.fail(path, "FORMAT", "must be an array")
        elif maximum is not None and len(value) > maximum:
            self.fail(path, "MAX_SIZE", f"has size {len(value)}, expected {maximum} or less")
        else:
            return True
        return False

    def text(self, path: str, value: object, *, maximum: int = MAX_TEXT, required: bool = False) -> str | None:
        """Check a string of 1 to ``maximum`` characters; null counts as absent."""
        if value is None:
            if required:
                self.fail(path, "REQUIRED", "is required")
            return None
        if not isinstance(value, str):
            self.fail(path, "FORMAT", "must be a string")
        elif not value:
            self.fail(path, "MIN_LENGTH", "has length 0, expected 1 or more")
        elif len(value) > maximum:
            self.fail(path, "MAX_LENGTH", f"has length {len(value)}, expected {maximum} or less")
        else:
            return value
        return None

    def guid(self, path: str, value: object) -> str | None:
        """Check a required GUID."""
        text = self.text(path, value, required=True)
        if text is not None and not _GUID.fullmatch(text):
            self.fail(path, "FORMAT", "is not a GUID")
        return text

    def link(self, path: str, value: object) -> None:
        """Check a WEB_URL."""
        text = self.text(path, value, maximum=MAX_LINK)
        if text is not None and not is_web_url(text):
            self.fail(path, "FORMAT", "is not a WEB_URL")

    def status(self, path: str, value: object) -> None:
        """Check one of the five statuses, case and all."""
        text = self.text(path, value)
        if text is not None and text not in STATUSES:
            self.fail(path, "FORMAT", f"must be one of {', '.join(STATUSES)}")


def is_web_url(text: str) -> bool:
    """Tell whether a text is an http or https URL with a host."""
    if _UNFIT_FOR_URL.search(text):
        return False
    try:
        parts = urlsplit(text)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        return False
    host = parts.hostname or ""
    return parts.scheme in {"http", "https"} and port_fits and "@" not in parts.netloc and bool(_HOST.fullmatch(host))


def read_body(raw: bytes) -> Json:
    """Read a request's body as a JSON object; no body at all is an empty one."""
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refusal(400, dict(EMPTY) | {"message": "the body is not valid JSON"}) from error
    if not isinstance(body, dict):
        raise Refusal(400, dict(EMPTY) | {"message": "the body must be a JSON object"})
    return body


def check_fulfillment(checker: Checker, path: str, value: object, *, switches: Switches) -> None:
    """Check a fulfillment that is to be created."""
    if not checker.mapping(value, path):
        return
    if checker.array(value.get("lineItems"), f"{path}.lineItems", maximum=MAX_LINE_ITEMS):
        for index, item in enumerate(value["lineItems"]):
            _check_line_item(checker, f"{path}.lineItems[{index}]", item)
    _check_info(checker, path, value, switches=switches)
    tracking = value.get("trackingInfo")
    empty = isinstance(tracking, dict) and all(tracking.get(key) is None for key in TRACKING_KEYS)
    if empty and switches.empty_tracking_info == "refused":
        checker.fail(f"{path}.trackingInfo", "REQUIRED_ONE", "must not be empty")


def check_changes(checker: Checker, value: object, *, switches: Switches) -> None:
    """Check the changes of an update: every key present is a field to set, null clears it."""
    if not checker.mapping(value, "fulfillment"):
        return
    if value.get("lineItems") is not None and switches.patch_line_items == "refused":
        checker.fail(
            "fulfillment.lineItems", "IMMUTABLE", "cannot be changed: delete the fulfillment and create it anew"
        )
    _check_info(checker, "fulfillment", value, switches=switches)


def check_order_ids(checker: Checker, value: object) -> None:
    """Check the order ids of a list for several orders."""
    if checker.array(value, "orderIds", maximum=MAX_ORDERS):
        for index, order_id in enumerate(value):
            checker.text(f"orderIds[{index}]", order_id, required=True)


def check_bulk_item(checker: Checker, path: str, item: object, *, switches: Switches) -> None:
    """Check one order of a bulk create."""
    if not checker.mapping(item, path):
        return
    checker.text(f"{path}.orderId", item.get("orderId"), required=True)
    if checker.array(item.get("fulfillments"), f"{path}.fulfillments", maximum=None):
        for index, fulfillment in enumerate(item["fulfillments"]):
            check_fulfillment(checker, f"{path}.fulfillments[{index}]", fulfillment, switches=switches)


def _check_line_item(checker: Checker, path: str, item: object) -> None:
    if not checker.mapping(item, path):
        return
    checker.guid(f"{path}.id", item.get("id"))
    quantity = item.get("quantity")
    if quantity is None:
        return
    if type(quantity) is not int:
        checker.fail(f"{path}.quantity", "FORMAT", "must be an integer")
    elif quantity < 1:
        checker.fail(f"{path}.quantity", "MIN", f"is {quantity}, expected 1 or more")
    elif quantity > MAX_QUANTITY:
        checker.fail(f"{path}.quantity", "MAX", f"is {quantity}, expected {MAX_QUANTITY} or less")


def _check_info(checker: Checker, path: str, value: Json, *, switches: Switches) -> None:
    checker.status(f"{path}.status", value.get("status"))
    if not isinstance(value.get("completed"), bool | None):
        checker.fail(f"{path}.completed", "FORMAT", "must be a boolean")
    tracking, custom = value.get("trackingInfo"), value.get("customInfo")
    if tracking is not None and custom is not None and switches.both_info_arms == "refused":
        checker.fail(path, "ONEOF", "may have trackingInfo or customInfo, not both")
    if tracking is not None and checker.mapping(tracking, f"{path}.trackingInfo"):
        _check_tracking_info(checker, f"{path}.trackingInfo", tracking)
    if custom is not None and checker.mapping(custom, f"{path}.customInfo"):
        _check_fields_data(checker, f"{path}.customInfo.fieldsData", custom.get("fieldsData"))


def _check_tracking_info(checker: Checker, path: str, tracking: Json) -> None:
    checker.text(f"{path}.trackingNumber", tracking.get("trackingNumber"))
    checker.text(f"{path}.shippingProvider", tracking.get("shippingProvider"))
    checker.link(f"{path}.trackingLink", tracking.get("trackingLink"))


def _check_fields_data(checker: Checker, path: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        checker.fail(path, "FORMAT", "must be an object of strings")
    elif len(value) > MAX_TEXT:
        checker.fail(path, "MAX_SIZE", f"has size {len(value)}, expected {MAX_TEXT} or less")
