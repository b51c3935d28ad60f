"""Answer ``parcelhook fulfill --file``: many orders in few calls."""

from __future__ import annotations

import gc
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parcelhook.cli.failures import INTERRUPTED
from parcelhook.cli.invocation import Invocation
from parcelhook.cli.output import Json, warn, write_json_with, write_line, write_table

if TYPE_CHECKING:
    from parcelhook.cli.progress import Progress
    from parcelhook.fulfillment.spool import Result, Spool

CREATING: Final = frozenset({"create", "bulk-create"})
OPEN: Final = frozenset({"undecided", "waiting", "not_begun"})
SHOWN: Final = ("undecided", "needs_review", "failed", "waiting", "not_begun")
"""What a person is told line by line, the most urgent first."""

WARNINGS_SHOWN: Final = 10
LINES_SHOWN: Final = 20
NOT_BEGUN: Final = "NOT_BEGUN: the run ended before this line, and nothing was done about it"
AGAIN: Final = "Run the same command again: it goes on where this run ended."


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line asks for."""

    file: Path
    is_rehearsal: bool = False
    failed_to: Path | None = None


def fulfill_file(invocation: Invocation, order: Order) -> int:
    """Ship what a file lists, or only check it; give 0 where all of it was, or can be, shipped."""
    from parcelhook.cli.failed_lines import FailedLines
    from parcelhook.cli.progress import progress
    from parcelhook.fulfillment.files import opened
    from parcelhook.fulfillment.spool import spooled

    with ExitStack() as stack:
        spool = stack.enter_context(spooled())
        with opened(order.file) as lines:
            spool.take(lines)
        for name in lines.unknown:
            warn(f"the column {name} means nothing here, and is passed over")
        # Before anything is sent: where they cannot be written is found out now, and not when they are needed.
        failed = stack.enter_context(FailedLines(order.failed_to, order.file, lines.form)) if order.failed_to else None
        is_stopped = stack.enter_context(_stopping())
        with progress(spool.total()) as shown:
            calls = _ship(invocation, spool, shown, is_stopped=is_stopped, is_rehearsal=order.is_rehearsal)
        if failed is not None:
            failed.write(
                (number, raw, _error(error, state), hint or ("" if state == "FAILED" else AGAIN))
                for number, raw, state, error, hint in spool.left()
            )
        summary = _summary(spool, calls) | {"dry_run": order.is_rehearsal, "unknown_columns": list(lines.unknown)}
        if invocation.as_json:
            write_json_with(summary, "items", map(_item, spool.results()))
        else:
            _show(spool, summary, failed_to=order.failed_to)
        return INTERRUPTED if is_stopped() else _exit_code(summary)


def _ship(
    invocation: Invocation, spool: Spool, shown: Progress, *, is_stopped: Callable[[], bool], is_rehearsal: bool
) -> Counter[str]:
    """Ship or rehearse, and give the calls to Wix by operation."""
    from parcelhook.fulfillment.bulk import Shipping
    from parcelhook.fulfillment.rehearsal import rehearse

    warned = _Warnings()
    with invocation.installation() as installation:
        store = installation.store(invocation.store)
        # What was loaded to start with stays to the end: the collector need not look at it for every call.
        gc.freeze()
        if is_rehearsal:
            rehearse(store, spool, told=shown.advance, warn=warned)
        else:
            with installation.engine([store]) as engine:
                Shipping(
                    store,
                    spool,
                    run=engine.run,
                    told=shown.advance,
                    warn=warned,
                    pause=lambda why, until: shown.say(f"{why}. Waiting until {until:%H:%M:%S} UTC."),
                    is_stopped=is_stopped,
                ).ship()
        warned.end()
        return installation.gate(store.id).calls


class _Warnings:
    """Tell the first few warnings, and how many more there were."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, line: int, text: str) -> None:
        self._count += 1
        if self._count <= WARNINGS_SHOWN:
            warn(f"line {line}: {text}")

    def end(self) -> None:
        if self._count > WARNINGS_SHOWN:
            warn(f"{self._count - WARNINGS_SHOWN:,} more numbers do not look like their carrier's")


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Give whether Ctrl-C was pressed: once, the call under way is finished and no other begun; twice, all ends."""
    stopped: list[int] = []

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.default_int_handler)
        stopped.append(number)
        warn("stopping once the call under way has ended; press Ctrl-C again to end at once")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: bool(stopped)
    finally:
        signal.signal(signal.SIGINT, before)


def _kind(result: Result) -> str:
    """Give which of the summary's counts a result belongs to."""
    if result.state == "CREATED":
        return "existing" if result.existed else "created"
    kinds = {"": "not_begun", "VALID": "valid", "NEEDS_REVIEW": "needs_review"}
    kinds |= dict.fromkeys(("FAILED", "CANCELED", "DELETED"), "failed") | {"SENDING": "undecided"}
    return kinds.get(result.state, "waiting")


def _summary(spool: Spool, calls: Counter[str]) -> dict[str, Json]:
    kinds = Counter(map(_kind, spool.results()))
    create = sum(count for operation, count in calls.items() if operation in CREATING)
    names = ("created", "existing", "failed", "needs_review", "undecided", "waiting", "not_begun", "valid")
    return {
        "total": kinds.total(),
        **{name: kinds[name] for name in names},
        "calls": {"create": create, "read": calls.total() - create - calls["token"]},
    }


def _exit_code(summary: Mapping[str, Json]) -> int:
    if summary["failed"] or summary["needs_review"]:
        return 3
    return 4 if any(summary[name] for name in OPEN) else 0


def _error(error: str, state: str) -> str:
    """Say what is wrong with a line, also where the ledger has no words for it."""
    if state in {"CREATED", "VALID"}:
        return ""
    return error or (f"its shipment is {state}" if state else NOT_BEGUN)


def _hint(result: Result) -> str:
    return result.what_to_do or (AGAIN if _kind(result) in OPEN else "")


def _item(result: Result) -> Json:
    return {
        "line": result.line,
        "order_id": result.order_id,
        "state": result.state or "NOT_BEGUN",
        "fulfillment_id": result.fulfillment_id,
        "error": _error(result.error, result.state),
        "what_to_do": _hint(result),
    }


def _show(spool: Spool, summary: Mapping[str, Json], *, failed_to: Path | None) -> None:
    names = ("created", "existing", "valid", *SHOWN)
    told = ", ".join(f"{summary[name]:,} {name.replace('_', ' ')}" for name in names if summary[name])
    parcels = "1 parcel" if summary["total"] == 1 else f"{summary['total']:,} parcels"
    write_line(f"{parcels}: {told or 'nothing to do'}.")
    shown = [
        (each.line, each.order_id, _error(each.error, each.state), _hint(each))
        for kind in SHOWN
        for each in _first(spool, kind)
    ][:LINES_SHOWN]
    if shown:
        write_table(("line", "order", "problem", "what to do"), shown)
    left = sum(int(str(summary[name])) for name in SHOWN) - len(shown)
    if left:
        write_line(f"And {left:,} more.")
    if failed_to is not None and shown:
        write_line(f"The lines that are not shipped are in {failed_to}: correct them there, and ship that file.")
    elif summary["failed"]:
        write_line("With --failed-to FILE, such lines are written to a file that can be corrected and shipped.")


def _first(spool: Spool, kind: str) -> list[Result]:
    found: list[Result] = []
    for result in spool.results():
        if _kind(result) == kind:
            found.append(result)
            if len(found) == LINES_SHOWN:
                break
    return found
