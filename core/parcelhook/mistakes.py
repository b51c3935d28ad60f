"""Say in plain words what pydantic found wrong: by path and rule only, for the values may be secret or personal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

SHOWN: Final = 5
"""How many mistakes one message names; the rest is counted."""

UNKNOWN_KEY: Final = "extra_forbidden"

_AUTHORED: Final = frozenset({"value_error", "assertion_error"})
_NUMBER: Final = "should be a number"
_WHOLE: Final = "should be a whole number"
_YES_OR_NO: Final = "should be true or false"
_LIST: Final = "should be a list"
_TABLE: Final = "should be a table"
_ONE_OF: Final = "should be {expected}"

PLAIN: Final[Mapping[str, str]] = {
    "missing": "is missing",
    UNKNOWN_KEY: "is not a known key",
    "string_type": "should be text",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "enum": _ONE_OF,
    "literal_error": _ONE_OF,
    "string_pattern_mismatch": "should match the pattern {pattern}",
    "string_too_short": "should have at least {min_length} characters",
    "string_too_long": "should have at most {max_length} characters",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "timezone_aware": "should have a time zone",
}
"""What each kind of mistake is called; one that is not here is told in pydantic's words."""


def plain(error: ErrorDetails) -> str:
    """Say what is wrong, as follows the name of what is wrong: ``is missing``."""
    words = PLAIN.get(error["type"])
    if words is not None:
        return words.format(**error.get("ctx", {}))
    text = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ``; did you mean ...?`` with the nearest known word, or nothing."""
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def mistakes(error: ValidationError) -> list[tuple[str, str]]:
    """Give each mistake as (path, what is wrong); texts written by a validator's author are left out."""
    return [
        (
            ".".join(str(part) for part in each["loc"]),
            "is not allowed" if each["type"] in _AUTHORED else plain(each),
        )
        for each in error.errors(include_input=False, include_url=False)
    ]


def summary(error: ValidationError) -> str:
    """Give the mistakes as one line, such as ``parcels.0.number: is missing``."""
    found = mistakes(error)
    lines = [f"{path}: {text}" if path else text for path, text in found[:SHOWN]]
    more = len(found) - SHOWN
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")
