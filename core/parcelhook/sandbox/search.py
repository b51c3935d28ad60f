"""Search Orders: filter, sort, and opaque cursors that carry both (OrderSearchSpec, CursorPaging)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cmp_to_key

from parcelhook.sandbox.filters import FIELDS, Matches, compile_filter, mentions, read_path, typed
from parcelhook.sandbox.settings import Panel, Switches
from parcelhook.sandbox.store import Store, StoredOrder
from parcelhook.sandbox.validation import Checker, Json, JsonValue

MAX_LIMIT = 100
MAX_SORT = 4
MAX_CURSOR = 16_000
_STATUSES = "fulfillmentStatusesAggregate.statuses"
# Left out unless the status is filtered explicitly.
_SHY = frozenset({"PENDING", "REJECTED"})
_DEFAULT_SORT: list[list[JsonValue]] = [["createdDate", True]]
# An order with its sort key: a value for each criterion, then where it stands among all.
Row = tuple[list[JsonValue], Json]


@dataclass(frozen=True)
class Query:
    """Say what is searched; ``edge`` is the sort key of the order that the page follows or, backwards, precedes."""

    filter: Json
    sort: list[list[JsonValue]]
    limit: int
    edge: list[JsonValue] | None = None
    backwards: bool = False


class Search:
    """Answer searches over the orders of a store."""

    def __init__(self, store: Store, panel: Panel) -> None:
        self._store = store
        self._panel = panel
        self._secret = secrets.token_bytes(16)
        self._last: tuple[object, list[Row]] = (None, [])

    def run(self, search: object) -> Json:
        """Answer one page, or refuse a search that breaks the rules."""
        switches = self._panel.now
        query, matches = self._read({} if search is None else search, switches)
        rows = self._rows(query, matches, switches)
        start, stop = _window(rows, query)
        page = rows[start:stop]
        cursors: Json = {}
        if stop < len(rows):
            cursors["next"] = self._cursor(query, page[-1][0] if page else [], backwards=False)
        if start > 0:
            cursors["prev"] = self._cursor(query, page[0][0] if page else [], backwards=True)
        metadata = {"count": len(page), "cursors": cursors, "hasNext": stop < len(rows)}
        return {"orders": [entity for _, entity in page], "metadata": metadata}

    def _read(self, search: object, switches: Switches) -> tuple[Query, Matches]:
        checker = Checker(switches)
        query = Query({}, _DEFAULT_SORT, MAX_LIMIT)
        if checker.mapping(search, "search"):
            paging = search.get("cursorPaging")
            if paging is None:
                paging = {}
            if checker.mapping(paging, "search.cursorPaging"):
                query = self._read_query(checker, search, paging)
        matches = compile_filter(checker, "search.filter", query.filter)
        checker.finish()
        return query, matches

    def _read_query(self, checker: Checker, search: Json, paging: Json) -> Query:
        limit = _read_limit(checker, paging.get("limit"))
        cursor = checker.text("search.cursorPaging.cursor", paging.get("cursor"), maximum=MAX_CURSOR)
        if cursor is None:
            condition = search.get("filter")
            return Query({} if condition is None else condition, _read_sort(checker, search.get("sort")), limit)
        if search.get("filter") or search.get("sort"):
            checker.fail("search", "CURSOR_ALONE", "with a cursor send only cursorPaging")
        carried = self._open_cursor(cursor)
        if carried is None:
            checker.fail("search.cursorPaging.cursor", "FORMAT", "is not a cursor of this search")
            return Query({}, _DEFAULT_SORT, limit)
        return Query(carried["filter"], carried["sort"], limit, carried["edge"], carried["backwards"])

    def _rows(self, query: Query, matches: Matches, switches: Switches) -> list[Row]:
        # Page after page of a store that stands still is cut from one list.
        asked = (self._store.changes, json.dumps(query.filter), json.dumps(query.sort))
        if switches.search_lag_seconds:
            return self._find(query, matches, switches)
        if self._last[0] != asked:
            self._last = (asked, self._find(query, matches, switches))
        return self._last[1]

    def _find(self, query: Query, matches: Matches, switches: Switches) -> list[Row]:
        explicit = mentions(query.filter, "status")
        aggregate = mentions(query.filter, _STATUSES)
        paths = [(field, FIELDS[field]) for field, _ in query.sort]
        rows: list[Row] = []
        for stored in _candidates(self._store, query.filter):
            entity = stored.entity.seen(lag=switches.search_lag_seconds)
            if entity is None:
                continue
            status = entity["status"]
            if status == "INITIALIZED" or (status in _SHY and not explicit):
                continue
            if matches(_with_statuses(stored, entity) if aggregate else entity):
                key = [_sortable(kind, read_path(entity, field)) for field, kind in paths]
                rows.append(([*key, stored.position], entity))
        # Sorting is stable, so the last criterion goes first; between equals the order of arrival stands.
        for index, (_, descending) in reversed(list(enumerate(query.sort))):
            rows.sort(key=lambda row: row[0][index], reverse=descending)
        return rows

    def _cursor(self, query: Query, edge: list[JsonValue], *, backwards: bool) -> str:
        carried = {"filter": query.filter, "sort": query.sort, "edge": edge, "backwards": backwards}
        content = json.dumps(carried, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._seal(content) + content).decode()

    def _open_cursor(self, cursor: str) -> Json | None:
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode())
        except (ValueError, binascii.Error):
            return None
        size = hashlib.sha256().digest_size
        if not hmac.compare_digest(sealed[:size], self._seal(sealed[size:])):
            return None
        carried: Json = json.loads(sealed[size:])
        return carried

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, "sha256")


def _read_limit(checker: Checker, limit: object) -> int:
    if limit is None:
        return MAX_LIMIT
    if isinstance(limit, bool) or not isinstance(limit, int):
        checker.fail("search.cursorPaging.limit", "FORMAT", "must be an integer")
    elif limit > MAX_LIMIT:
        checker.fail("search.cursorPaging.limit", "MAX", f"is {limit}, expected {MAX_LIMIT} or less")
    elif limit < 1:
        checker.fail("search.cursorPaging.limit", "MIN", f"is {limit}, expected 1 or more")
    else:
        return limit
    return MAX_LIMIT


def _read_sort(checker: Checker, sort: object) -> list[list[JsonValue]]:
    if sort is None or sort == []:
        return _DEFAULT_SORT
    if not checker.array(sort, "search.sort", maximum=MAX_SORT):
        return _DEFAULT_SORT
    read: list[list[JsonValue]] = []
    for index, entry in enumerate(sort):
        path = f"search.sort[{index}]"
        if not checker.mapping(entry, path):
            continue
        name, order = entry.get("fieldName"), entry.get("order") or "ASC"
        if not isinstance(name, str) or FIELDS.get(name, "array") == "array":
            checker.fail(f"{path}.fieldName", "SORTABLE", "is not a sortable field")
        elif order not in ("ASC", "DESC"):
            checker.fail(f"{path}.order", "FORMAT", "must be ASC or DESC")
        else:
            read.append([name, order == "DESC"])
    return read or _DEFAULT_SORT


def _candidates(store: Store, condition: Json) -> Iterable[StoredOrder]:
    # A filter on ids need not walk through every order.
    wanted = condition.get("id")
    if isinstance(wanted, dict):
        wanted = wanted.get("$in", wanted.get("$eq"))
    ids = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(ids, list):
        return store.orders.values()
    known = [store.orders[order_id] for order_id in set(map(str, ids)) if order_id in store.orders]
    return sorted(known, key=lambda stored: stored.position)


def _with_statuses(stored: StoredOrder, entity: Json) -> Json:
    statuses = {entry["status"] for entry in stored.fulfillments.value if "status" in entry}
    return entity | {"fulfillmentStatusesAggregate": {"statuses": sorted(statuses)}}


def _sortable(kind: str, value: JsonValue) -> list[JsonValue]:
    # Absent goes first. Dates are all written alike, so that as texts they sort as instants do.
    if value is None:
        return []
    return [typed(kind, value) if kind == "number" else value]


def _comparison(sort: list[list[JsonValue]]) -> Callable[[list[JsonValue], list[JsonValue]], int]:
    directions = [-1 if descending else 1 for _, descending in sort] + [1]

    def compare(left: list[JsonValue], right: list[JsonValue]) -> int:
        for one, other, direction in zip(left, right, directions, strict=True):
            if one != other:
                return direction if one > other else -direction
        return 0

    return compare


def _window(rows: list[Row], query: Query) -> tuple[int, int]:
    if query.edge is None:
        return 0, min(query.limit, len(rows))
    key = cmp_to_key(_comparison(query.sort))
    keys = [row[0] for row in rows]
    if query.backwards:
        stop = bisect_left(keys, key(query.edge), key=key)
        return max(0, stop - query.limit), stop
    start = bisect_right(keys, key(query.edge), key=key)
    return start, min(start + query.limit, len(rows))
