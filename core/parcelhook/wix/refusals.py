"""Read Wix's answers: a JSON object, or the error its status and body stand for.

Source: Wix, "About Errors" and "Order Fulfillments" (application errors).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pydantic import JsonValue, ValidationError

from parcelhook.answer import seconds_until_retry
from parcelhook.errors import (
    TrackingNumberExists,
    WixConflict,
    WixError,
    WixForbidden,
    WixInvalidRequest,
    WixNotFound,
    WixRateLimited,
    WixUnauthorized,
    WixUnavailable,
    WixUnreadable,
)
from parcelhook.wix.transport import Answer
from parcelhook.wix.wire import JsonObject, Wire

_CLASSES: dict[int, type[WixError]] = {
    400: WixInvalidRequest,
    401: WixUnauthorized,
    403: WixForbidden,
    404: WixNotFound,
    # a request that was never complete: what came through is not known
    408: WixUnavailable,
    409: WixConflict,
    428: WixInvalidRequest,
    429: WixRateLimited,
    501: WixInvalidRequest,
}

_WHAT_TO_DO: dict[type[WixError], str] = {
    WixUnauthorized: "Check the credentials of the app, or the API key and site id, and their permissions.",
    WixForbidden: "Give the app or key the permission to manage orders and install it on this site.",
    WixNotFound: "Check the id, and that it belongs to this store.",
    WixConflict: "Look at the order in Wix: something there is in the way.",
    TrackingNumberExists: "Look which fulfillment has the number already; update that one instead.",
    WixInvalidRequest: "Correct what Wix names, or quote the request id to Wix's support.",
    WixRateLimited: "Wait a minute, or lower this site's calls.",
    WixUnavailable: "Wait and try again; quote the request id to Wix's support if it lasts.",
}
# the status is published for Create Fulfillment only
_NUMBER_REFUSED = (400, 409, 428)
_BARE_403 = " Wix also answers a bare 403 when calls come too fast: if the permission is there, wait some minutes."
_EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
_DESCRIPTION_LENGTH = 300


class _ApplicationError(Wire):
    code: str = ""
    description: str = ""


class _Violation(Wire):
    field: str = ""
    description: str = ""


class _ValidationError(Wire):
    field_violations: tuple[_Violation, ...] = ()


class _Details(Wire):
    application_error: _ApplicationError = _ApplicationError()
    validation_error: _ValidationError = _ValidationError()


class _ErrorBody(Wire):
    """Wix's error body; the token endpoint's is in OAuth's words instead."""

    message: str = ""
    details: _Details = _Details()
    error: str = ""
    error_description: str = ""

    def is_bare(self) -> bool:
        return self == _ErrorBody()

    def description(self) -> str:
        violations = [f"{each.field}: {each.description}" for each in self.details.validation_error.field_violations]
        application = self.details.application_error
        return (
            "; ".join(violations)
            or application.description
            or self.message
            or application.code
            or self.error_description
            or self.error
        )


def read_object(answer: Answer, *, operation: str, secrets: Sequence[str] = ()) -> JsonObject:
    """Give the JSON object of a 2xx answer; raise the WixError that any other answer stands for.

    What Wix says is shown shortened, in one line, without e-mail addresses and without the ``secrets``.
    """
    if 200 <= answer.status <= 299:  # noqa: PLR2004 - the range of success
        return _success(answer, operation)
    body = _error_body(answer)
    kind = _kind(answer.status, body)
    if kind is WixUnreadable:
        raise _unreadable(answer, operation, f"Wix answered {answer.status} where an answer was due")
    what_to_do = _WHAT_TO_DO[kind]
    if kind is WixForbidden and body.is_bare():
        what_to_do += _BARE_403
    said = _presentable(body.description(), secrets)
    raise kind(
        f"{operation}: Wix answered {answer.status}" + (f": {said}" if said else ""),
        operation=operation,
        status=answer.status,
        request_id=answer.request_id,
        code=_presentable(body.details.application_error.code or body.error, secrets),
        fields=[_presentable(each.field, secrets) for each in body.details.validation_error.field_violations],
        retry_after=seconds_until_retry(answer.headers.get("retry-after", "")),
        what_to_do=what_to_do,
    )


def _success(answer: Answer, operation: str) -> JsonObject:
    try:
        data: JsonValue = json.loads(answer.body)
    except (ValueError, RecursionError):
        # the parser's error holds the whole body, which may be an order
        raise _unreadable(answer, operation, "Wix's answer is no JSON") from None
    if not isinstance(data, dict):
        raise _unreadable(answer, operation, "Wix's answer is no JSON object")
    return data


def _unreadable(answer: Answer, operation: str, what: str) -> WixUnreadable:
    return WixUnreadable(
        f"{operation}: {what}",
        operation=operation,
        status=answer.status,
        request_id=answer.request_id,
        what_to_do="Check that the configured URL is Wix's and that no proxy stands between.",
    )


def _kind(status: int, body: _ErrorBody) -> type[WixError]:
    """Choose the error of a status; a redirect is never followed, nor does it tell what became of the call."""
    if status in _NUMBER_REFUSED and body.details.application_error.code == "TRACKING_NUMBER_ALREADY_EXISTS":
        return TrackingNumberExists
    if status in _CLASSES:
        return _CLASSES[status]
    if 400 <= status <= 499:  # noqa: PLR2004 - the range of refusals
        return WixInvalidRequest
    return WixUnavailable if status >= 500 else WixUnreadable  # noqa: PLR2004 - the range of faults


def _error_body(answer: Answer) -> _ErrorBody:
    """Read what Wix says, if it says anything in its own words; a proxy's HTML counts as nothing."""
    try:
        return _ErrorBody.model_validate_json(answer.body)
    except (ValidationError, RecursionError):
        return _ErrorBody()


def _presentable(text: str, secrets: Sequence[str]) -> str:
    """Make what Wix said fit for a log: one short line without secrets, e-mail addresses and control characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    text = _EMAIL.sub("[e-mail]", " ".join(text.split()))
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= _DESCRIPTION_LENGTH else text[: _DESCRIPTION_LENGTH - 1] + "…"
