"""Refuse patterns that could take for ever: a repeated group that itself repeats, or chooses, inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

FEW: Final = 12
"""How often a group with a choice inside may be repeated: each time at most doubles what there is to try."""

_TOKEN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|.", re.DOTALL)


def takes_for_ever(pattern: str) -> bool:
    """Tell whether matching a text of moderate length with a valid pattern could take exponential time.

    Such is a group that is repeated and itself holds a repetition without bound, as in ``(A+)+``, or that is repeated
    more than a few times and holds a choice, as in ``(A|AA)*``. It errs on the side of refusing.
    """
    return any(_groups(_TOKEN.findall(pattern)))


def _groups(parts: list[str]) -> Iterator[bool]:
    """Give, for each group, whether it is repeated too often for what stands inside."""
    inside: list[tuple[bool, bool]] = []
    for before, part, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
        if part == "(":
            inside.append((False, False))
        elif part == ")" and inside:
            repeats, chooses = inside.pop()
            _, most = _times(after)
            yield (repeats and most > 1) or (chooses and most > FEW)
            _note(inside, repeats=repeats or _varies(after), chooses=chooses)
        else:
            is_optional = part == "?" and before != "(" and _times(before) == (1, 1)
            _note(inside, repeats=_varies(part), chooses=part == "|" or is_optional)


def _note(inside: list[tuple[bool, bool]], *, repeats: bool, chooses: bool) -> None:
    if inside:
        inside[-1] = (inside[-1][0] or repeats, inside[-1][1] or chooses)


def _varies(part: str) -> bool:
    least, most = _times(part)
    return least != most


def _times(part: str) -> tuple[float, float]:
    """Give how often a quantifier repeats what stands before it, at least and at most; 1 for anything that is none."""
    if part in {"*", "+"}:
        return 0, float("inf")
    bounds = re.fullmatch(r"\{(\d*)(,?)(\d*)\}", part)
    if bounds is None or part == "{}":
        return 1, 1
    low, comma, high = bounds.groups()
    least = float(low or 0)
    return least, (float(high) if high else float("inf")) if comma else least
