"""How a caller is refused: always as JSON, always in one shape, and never with a value that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from parcelhook.web.body import HangUp

LENGTH: Final = 300
"""How much of a text a refusal repeats: the name of a field may be the caller's own, and of any length."""


def refusal(status: int, error: str, *, field: str = "", what_to_do: str, retry_after: int | None = None) -> Response:
    """Give ``{"error", "field", "what_to_do"}``; ``retry_after`` is in seconds."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return JSONResponse(_body(error, field, what_to_do), status_code=status, headers=headers)


def unread(status: int, error: str, *, field: str, what_to_do: str, headers: Mapping[str, str] | None = None) -> HangUp:
    """Give the same to a caller whose body is not read, and hang up."""
    return HangUp(_body(error, field, what_to_do), status_code=status, headers=dict(headers or {}))


async def no_such_route(_: Request, error: Exception) -> Response:
    """Answer for a path or method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = getattr(error, "headers", None)
    what = "this path takes another method" if status == 405 else "there is nothing at this path"  # noqa: PLR2004 - HTTP
    hint = "Shipments go by POST to /shipments, Wix's webhooks by POST to /webhooks."
    return JSONResponse(_body(what, "path", hint), status_code=status, headers=headers)


async def internal_error(_: Request, __: Exception) -> Response:
    """Answer for a mistake of ours; what it was is in the log."""
    return JSONResponse(
        _body("something went wrong here", "", "Send it again; if it lasts, see the service's log."), 500
    )


def _body(error: str, field: str, what_to_do: str) -> dict[str, str]:
    return {"error": _short(error), "field": _short(field), "what_to_do": _short(what_to_do)}


def _short(text: str) -> str:
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}..."
