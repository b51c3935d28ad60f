"""What a sandbox is started with, and the switches for what Wix's contract leaves open."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints
from uuid import uuid4


def _guid() -> str:
    return str(uuid4())


# A dataclass field has whatever type it is annotated with.
_Field: TypeAlias = Any


def _switch(default: object, title: str) -> _Field:
    return field(default=default, metadata={"title": title})


@dataclass(frozen=True, kw_only=True)
class Switches:
    """Say how the sandbox reads what no source of Wix's settles; each default is the strictest reading.

    The ``title`` in a switch's metadata names the page of Wix's reference that leaves the question open.
    """

    duplicate_scope: Literal["site", "provider", "order", "off"] = _switch(
        "site", "Create Fulfillment: where a tracking number must be unique"
    )
    duplicate_data: bool = _switch(False, "Create Fulfillment: whether the error names the other fulfillment in data")
    duplicate_update_status: Literal[409, 400, 428] = _switch(409, "Update Fulfillment: status of a known number")
    bulk_duplicate: Literal["code", "generic", "accepted"] = _switch(
        "code", "Bulk Create Fulfillments: how a known number is reported for its item"
    )
    bulk_detail_threshold: int = _switch(
        100, "Bulk Create Fulfillments: failures given a result before they are only counted"
    )
    bulk_item: Literal["atomic", "partial"] = _switch(
        "atomic", "Bulk Create Fulfillments: whether an item's fulfillments succeed or fail together"
    )
    bulk_malformed: Literal["request", "item"] = _switch(
        "request", "Bulk Create Fulfillments: whether a malformed item refuses the whole call"
    )
    bulk_same_order_twice: Literal["accepted", "refused"] = _switch(
        "accepted", "Bulk Create Fulfillments: the same order in two items (the SDK's typings allow it)"
    )
    custom_without_link: Literal["refused", "accepted"] = _switch(
        "refused", "Order Fulfillments introduction: a custom provider without trackingLink"
    )
    predefined_link: Literal["wix", "caller"] = _switch(
        "wix", "Order Fulfillments introduction: whose link wins for a predefined provider"
    )
    predefined_without_number: Literal["no_link", "refused"] = _switch(
        "no_link", "Order Fulfillments introduction: a predefined provider without a tracking number"
    )
    provider_case: Literal["exact", "insensitive"] = _switch(
        "exact", "Order Fulfillments introduction: how predefined provider ids match"
    )
    link_number: Literal["as_is", "encoded"] = _switch(
        "as_is", "Order Fulfillments introduction: the tracking number inside a link Wix builds"
    )
    link_hosts: Literal["samples", "current"] = _switch(
        "samples", "Order Fulfillments introduction: links as in Wix's samples, or on the carriers' present pages"
    )
    line_item_split: Literal["allowed", "refused"] = _switch(
        "allowed", "Order Fulfillments introduction: a line item in several fulfillments (newest and older rendering)"
    )
    empty_tracking_info: Literal["refused", "accepted"] = _switch("refused", "Create Fulfillment: trackingInfo: {}")
    both_info_arms: Literal["refused", "tracking", "custom"] = _switch(
        "refused", "Fulfillment object: trackingInfo and customInfo together"
    )
    unknown_order_status: Literal[404, 400, 428] = _switch(404, "Create Fulfillment, Get Order: an unknown order")
    order_not_approved_status: Literal[428, 400, 409] = _switch(
        428, "Create Fulfillment: an order that is not approved"
    )
    unknown_line_item_status: Literal[400, 404, 428] = _switch(400, "Create Fulfillment: an unknown line item")
    excess_quantity_status: Literal[400, 409, 428] = _switch(400, "Create Fulfillment: more than what remains")
    unknown_fulfillment_status: Literal[404, 400] = _switch(
        404, "Update and Delete Fulfillment: an unknown fulfillment"
    )
    missing_field_status: Literal[400, 428] = _switch(400, "About Errors: a required field that is not passed")
    unpublished_code: Literal["generic", "absent"] = _switch(
        "generic", "About Errors: the applicationError of a refusal that has no published code"
    )
    violated_rule: Literal["published", "detailed"] = _switch(
        "published", "About Errors: only the published values of violatedRule, or the rule's own name"
    )
    default_status: Literal["absent", "Pending"] = _switch("absent", "Fulfillment object: status when none was sent")
    status_sequence: Literal["forward", "stepwise", "free"] = _switch(
        "forward", "Fulfillment object: which moves of status are allowed"
    )
    completed_effect: Literal["none", "status"] = _switch(
        "none", "Fulfillment object: whether completed: true also sets status Fulfilled"
    )
    patch_line_items: Literal["refused", "ignored"] = _switch("refused", "Update Fulfillment: line items in the body")
    null_link: Literal["regenerated", "cleared"] = _switch(
        "regenerated", "Update Fulfillment: trackingLink: null with a predefined provider"
    )
    list_unknown_orders: Literal["omitted", "empty", "refused"] = _switch(
        "omitted", "List Fulfillments For Multiple Orders: ids of unknown orders"
    )
    list_lag_seconds: float = _switch(0.0, "List Fulfillments: how long a write takes to be seen")
    search_lag_seconds: float = _switch(0.0, "Search Orders: how long a change takes to be seen")
    order_updated_by_fulfillment: Literal["status", "always", "never"] = _switch(
        "status", "Order Updated: whether a fulfillment touches the order when its fulfillmentStatus stays"
    )
    webhook_content_type: str = _switch("text/plain", "About Webhooks: content type of the request")
    webhook_lifetime_seconds: int = _switch(300_000, "About Webhooks: exp minus iat of the token")
    webhook_signed_again: bool = _switch(False, "Webhook Resend Policy: whether a retry carries a fresh token")
    webhook_success: Literal["200", "2xx"] = _switch("200", "Webhook Resend Policy: which answers count as success")
    event_identity: Literal["present", "absent"] = _switch("present", "Domain Events: whether identity is sent")
    rate_limit_body: Literal["application", "empty"] = _switch("application", "Rate Limits: body of a 429")
    rate_limit_retry_after: bool = _switch(False, "Rate Limits: whether a 429 carries Retry-After")
    api_key_rate_limit: Literal["own", "shared", "none"] = _switch("own", "Rate Limits: what counts for API keys")
    token_refusal_status: Literal[401, 400, 403] = _switch(401, "Create Access Token: status for an unknown client")
    token_refusal_body: Literal["ietf", "wix"] = _switch("ietf", "Create Access Token: body of a refusal")


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """Describe one sandbox: where it listens, who may call it, and how it behaves.

    Port 0 takes a free one. ``rate_limit`` is calls in ``rate_window`` seconds, 0 for no limit. ``time_scale``
    multiplies the waits between webhook retries. Ids and secrets are random unless given.
    """

    host: str = "127.0.0.1"
    port: int = 0
    orders: int = 0
    rate_limit: int = 200
    rate_window: float = 60.0
    time_scale: float = 1.0
    webhook_deadline: float = 1.25
    token_seconds: int = 14_400
    app_id: str = field(default_factory=_guid)
    app_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    instance_id: str = field(default_factory=_guid)
    api_key: str = field(default_factory=lambda: f"IST.{secrets.token_urlsafe(48)}", repr=False)
    site_id: str = field(default_factory=_guid)
    courier_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    public_key_file: Path | None = None
    switches: Switches = field(default_factory=Switches)


class Panel:
    """Hold the switches as they stand now."""

    def __init__(self, switches: Switches) -> None:
        self.now = switches

    def show(self) -> dict[str, object]:
        """Give every switch by name."""
        return asdict(self.now)

    def change(self, changes: Mapping[str, object]) -> None:
        """Set switches by name; all of them or, raising ``ValueError`` with the reason, none."""
        kinds = get_type_hints(Switches)
        known = {switch.name for switch in fields(Switches)}
        for name, value in changes.items():
            if name not in known:
                msg = f"no switch is called {name!r}; there are {', '.join(sorted(known))}"
                raise ValueError(msg)
            _check(name, value, kinds[name])
        self.now = replace(self.now, **dict[str, Any](changes))


def _check(name: str, value: object, kind: object) -> None:
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if type(value) is bool or value not in choices:
            msg = f"switch {name!r} takes one of {list(choices)}, not {value!r}"
            raise ValueError(msg)
        return
    accepted = (int, float) if kind is float else (kind,)
    if type(value) not in accepted:
        msg = f"switch {name!r} takes a {getattr(kind, '__name__', kind)}, not {value!r}"
        raise ValueError(msg)
