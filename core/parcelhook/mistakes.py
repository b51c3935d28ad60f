"""Say what pydantic found wrong by path and rule only, for the values may be secret or personal."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

SHOWN: Final = 5
"""How many mistakes one message names; the rest is counted."""

_AUTHORED: Final = frozenset({"value_error", "assertion_error"})


def mistakes(error: ValidationError) -> list[tuple[str, str]]:
    """Give each mistake as (path, what is wrong); texts written by a validator's author are left out."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [
        (
            ".".join(str(part) for part in each["loc"]),
            "is not allowed" if each["type"] in _AUTHORED else _lowered(each["msg"]),
        )
        for each in found
    ]


def summary(error: ValidationError) -> str:
    """Give the mistakes as one line, such as ``parcels.0.number: field required``."""
    found = mistakes(error)
    lines = [f"{path}: {text}" if path else text for path, text in found[:SHOWN]]
    more = len(found) - SHOWN
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
