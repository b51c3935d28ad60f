"""Answer ``parcelhook fulfill --file``: many orders in few calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parcelhook.cli.invocation import Invocation
from parcelhook.cli.output import Json, write_json, write_line, write_table

if TYPE_CHECKING:
    from parcelhook.fulfillment.bulk import Result

CREATING = frozenset({"create", "bulk-create"})


def fulfill_file(invocation: Invocation, file: Path) -> int:
    """Ship what a file lists; give 0 where all of it was shipped, else 3."""
    from parcelhook.fulfillment.bulk import ship
    from parcelhook.fulfillment.files import read_file

    entries = read_file(file)
    with invocation.installation() as installation:
        store = installation.store(invocation.store)
        with installation.engine([store]) as engine:
            results = ship(store, entries, run=engine.run)
        calls = installation.gate(store.id).calls
    summary = _summary(results, calls)
    if invocation.as_json:
        write_json(summary)
    else:
        _show(results, summary)
    return 0 if len(results) == summary["created"] + summary["existing"] else 3  # type: ignore[operator]


def _kind(result: Result) -> str:
    """Give which of the summary's counts a result belongs to."""
    if result.row is None:
        return "failed"
    state = result.row.state.value
    if state == "CREATED":
        return "existing" if result.existed else "created"
    return {"FAILED": "failed", "NEEDS_REVIEW": "needs_review"}.get(state, "undecided")


def _summary(results: Sequence[Result], calls: Counter[str]) -> dict[str, Json]:
    kinds = Counter(map(_kind, results))
    create = sum(count for operation, count in calls.items() if operation in CREATING)
    return {
        "total": len(results),
        "created": kinds["created"],
        "existing": kinds["existing"],
        "failed": kinds["failed"],
        "needs_review": kinds["needs_review"],
        "undecided": kinds["undecided"],
        "calls": {"create": create, "read": calls.total() - create - calls["token"]},
        "items": [_item(result) for result in results],
    }


def _item(result: Result) -> Json:
    row = result.row
    return {
        "line": result.line,
        "order_id": result.order_id,
        "state": row.state.value if row else "FAILED",
        "fulfillment_id": row.fulfillment_id if row else None,
        "error": result.error,
        "what_to_do": result.what_to_do,
    }


def _show(results: Sequence[Result], summary: dict[str, Json]) -> None:
    counts = ("created", "existing", "failed", "needs_review", "undecided")
    told = ", ".join(f"{summary[name]} {name.replace('_', ' ')}" for name in counts if summary[name])
    write_line(f"{summary['total']} parcels: {told or 'nothing to do'}.")
    bad = [(each.line, each.order_id, each.error, each.what_to_do) for each in results if each.error]
    if bad:
        write_table(("line", "order", "problem", "what to do"), bad)
