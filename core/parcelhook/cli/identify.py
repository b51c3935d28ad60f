"""Answer ``parcelhook identify``: whose number this may be."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_line, write_table
from parcelhook.errors import InvalidTrackingNumber

if TYPE_CHECKING:
    from parcelhook.numbers import Candidate, FormatIndex

STDIN = ("-",)


@click.command(cls=Command)
@click.argument("numbers", metavar="NUMBER...", nargs=-1, required=True)
@click.option("--country", metavar="CC", help="Where the parcel comes from or goes to, to order the candidates.")
@pass_invocation
def identify(invocation: Invocation, numbers: tuple[str, ...], country: str | None) -> int:
    """Tell which carriers may have given a number.

    Candidates come best first; the confidence, from 0 to 1, orders them and is no probability. With - in the place of
    a number, numbers are read from stdin, one a line, and each is answered by a line at once.
    """
    from parcelhook.links import tracking_link
    from parcelhook.numbers import FormatIndex, as_given

    with invocation.installation() as installation:
        index = FormatIndex(installation.registry.carriers(), link=tracking_link)
        if numbers == STDIN:
            lines = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
            return _stream(lines, index, country=country, as_json=invocation.as_json)
        wrong = [error for error in map(_fault, numbers) if error is not None]
        if wrong:
            raise _together(wrong)
        found = {number: index.identify(as_given(number), country=country) for number in numbers}
    if invocation.as_json:
        write_json([_answer(number, found[number]) for number in numbers])
    else:
        _show(numbers, found)
    return 0


def _stream(lines: Iterable[str], index: FormatIndex, *, country: str | None, as_json: bool) -> int:
    """Answer each line; a number that is none is told in its place, and makes the exit code 2."""
    from parcelhook.numbers import as_given

    code = 0
    for line in lines:
        number = line.rstrip("\r\n")
        if not number.strip():
            continue
        error = _fault(number)
        candidates = [] if error else index.identify(as_given(number), country=country)
        if error:
            code = error.exit_code
        if as_json:
            told = {"error": {"message": error.message, "what_to_do": error.what_to_do}} if error else {}
            write_json({**_answer(number, candidates), **told})
        else:
            names = ", ".join(f"{each.carrier} ({each.service}, {each.confidence:g})" for each in candidates)
            write_line(f"{number}: {error.message if error else names or '-'}")
    return code


def _fault(number: str) -> InvalidTrackingNumber | None:
    from parcelhook.numbers import as_given

    try:
        as_given(number, field=repr(number))
    except InvalidTrackingNumber as error:
        return error
    return None


def _together(errors: Sequence[InvalidTrackingNumber]) -> InvalidTrackingNumber:
    message = "\n".join(error.message for error in errors)
    return InvalidTrackingNumber(message, field="NUMBER", what_to_do=errors[0].what_to_do)


def _answer(given: str, candidates: Sequence[Candidate]) -> dict[str, Json]:
    from parcelhook.numbers import normalise

    return {
        "input": given,
        "number": candidates[0].number if candidates else normalise(given),
        "candidates": [
            {
                "carrier": each.carrier,
                "service": each.service,
                "check_digit": each.check_digit,
                "confidence": each.confidence,
                "url": each.url,
            }
            for each in candidates
        ],
    }


def _show(numbers: Sequence[str], found: dict[str, list[Candidate]]) -> None:
    rows: list[tuple[object, ...]] = []
    for number in numbers:
        rows += [(number, each.carrier, each.service, f"{each.confidence:g}", each.url) for each in found[number]] or [
            (number, "no carrier is known for it", "", "", "")
        ]
    write_table(("Number", "Carrier", "Service", "Confidence", "Link"), rows)
