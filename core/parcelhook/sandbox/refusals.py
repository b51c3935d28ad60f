"""The bodies with which Wix refuses a call (About Errors)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from parcelhook.sandbox.settings import Switches

EMPTY: Mapping[str, object] = {"message": "", "details": {}}

_GENERIC_CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 409: "ALREADY_EXISTS", 428: "FAILED_PRECONDITION"}
# About Errors publishes only CUSTOM, MAX and FORMAT as values of violatedRule.
_PUBLISHED = {"MAX_LENGTH": "MAX", "MAX_SIZE": "MAX", "MAX": "MAX", "FORMAT": "FORMAT"}


@dataclass(frozen=True)
class Violation:
    """Name one field that breaks a rule of the schema."""

    field: str
    rule: str
    description: str

    def body(self, *, detailed: bool) -> dict[str, object]:
        """Write the violation as a member of ``fieldViolations``."""
        rule = self.rule if detailed else _PUBLISHED.get(self.rule, "CUSTOM")
        body: dict[str, object] = {"field": self.field, "description": self.description, "violatedRule": rule}
        if rule == "CUSTOM":
            body["ruleName"] = self.rule
        return body | {"data": {}}


class Refusal(Exception):
    """A call that is answered with an error, having changed nothing."""

    def __init__(self, status: int, body: Mapping[str, object], *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.body = body
        self.headers = headers

    def response(self) -> Response:
        """Write the refusal as an answer."""
        return JSONResponse(dict(self.body), status_code=self.status, headers=self.headers)


class Invalid(Refusal):
    """Fields that break the schema, with each violation."""

    def __init__(self, violations: list[Violation], *, status: int = 400, detailed: bool = False) -> None:
        self.violations = violations
        text = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
        error = {"fieldViolations": [violation.body(detailed=detailed) for violation in violations]}
        super().__init__(status, {"message": text, "details": {"validationError": error}})


class Business(Refusal):
    """A rule of the store that the call breaks; ``code`` is None where Wix publishes none."""

    def __init__(
        self,
        status: int,
        description: str,
        *,
        code: str | None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.description = description
        self.data = dict(data or {})
        details: dict[str, object] = {}
        if code is not None:
            details["applicationError"] = self.error()
        super().__init__(status, {"message": description, "details": details}, headers=headers)

    def error(self) -> dict[str, object]:
        """Write the refusal as ``{code, description, data}``, as bulk results do."""
        return {"code": self.code or "", "description": self.description, "data": self.data}


def unpublished(description: str, status: int, switches: Switches) -> Business:
    """Make a refusal for which Wix publishes no code."""
    code = _GENERIC_CODES[status] if switches.unpublished_code == "generic" else None
    return Business(status, description, code=code)
