"""What a carrier answered: read it, or turn its refusal into an error that repeats nothing secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Final

from pydantic import ValidationError

from parcelhook.context import ReadModel
from parcelhook.errors import (
    CarrierError,
    CarrierRefused,
    CarrierThrottled,
    CarrierUnauthorized,
    CarrierUnavailable,
    CarrierUnreadable,
)
from parcelhook.mistakes import summary

_SERVER_FAULT: Final = 500
_REFUSALS: Final[Mapping[int, type[CarrierError]]] = {
    401: CarrierUnauthorized,
    403: CarrierUnauthorized,
    429: CarrierThrottled,
}


@dataclass(frozen=True)
class Answer:
    """An answer of a carrier; its content is kept out of ``repr``."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    call: str
    carrier: str

    @property
    def text(self) -> str:
        """Give the body as text, by the charset the answer names, else UTF-8."""
        content_type = Message()
        content_type["content-type"] = self.headers.get("content-type", "")
        try:
            return self.body.decode(content_type.get_content_charset("utf-8"), errors="replace")
        except LookupError:
            return self.body.decode("utf-8", errors="replace")

    def read(self, model: type[ReadModel]) -> ReadModel:
        """Validate the JSON body against a model; raise CarrierUnreadable that names the fields, never their values."""
        try:
            return model.model_validate_json(self.text)
        except ValidationError as error:
            msg = f"{self.call}: the answer is no {model.__name__}: {summary(error)}"
        raise CarrierUnreadable(msg, carrier=self.carrier, what_to_do="See whether the carrier changed its API.")


def refusal(answer: Answer) -> CarrierError:
    """Give the error for a status that is no answer; ``code`` is the status."""
    kind = _REFUSALS.get(answer.status, CarrierUnavailable if answer.status >= _SERVER_FAULT else CarrierRefused)
    return kind(
        f"{answer.call}: status {answer.status}",
        carrier=answer.carrier,
        code=str(answer.status),
        retry_after=seconds_until_retry(answer.headers.get("retry-after", "")),
        what_to_do=f"Check the credentials in [carriers.{answer.carrier}]." if kind is CarrierUnauthorized else "",
    )


def seconds_until_retry(value: str, *, now: datetime | None = None) -> float | None:
    """Give the seconds a ``Retry-After`` header (RFC 9110, 10.2.3) asks to wait, or None where it cannot be read."""
    value = value.strip()
    if re.fullmatch("[0-9]{1,6}", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds())
