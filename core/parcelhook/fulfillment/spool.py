"""The lines of a file on disk while it is shipped: put together to parcels, sorted to calls, each with its outcome.

A file may be larger than memory, its lines of one parcel may stand anywhere in it, and it may change while it is
worked through. So it is read once, into a database of its own that ends with the command. What must outlive the
command is in the ledger.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parcelhook.errors import LedgerError
from parcelhook.fulfillment.files import BadLine, Line, Row
from parcelhook.fulfillment.intake import Wish
from parcelhook.fulfillment.plan import rest_unknown
from parcelhook.ledger.rows import Standing
from parcelhook.numbers import normalise

ORDERS_PER_CALL: Final = 100

_TABLES: Final = """
    PRAGMA journal_mode = MEMORY;
    PRAGMA synchronous = OFF;
    CREATE TABLE line (
        number INTEGER PRIMARY KEY, raw TEXT, order_id TEXT, wish INTEGER, error TEXT, what_to_do TEXT, blocks INTEGER
    );
    CREATE TABLE wish (
        number INTEGER PRIMARY KEY, order_id TEXT, carrier TEXT, name TEXT, key TEXT, call INTEGER,
        shipment TEXT, state TEXT DEFAULT '', fulfillment TEXT, existed INTEGER DEFAULT 0,
        error TEXT DEFAULT '', what_to_do TEXT DEFAULT '', UNIQUE (order_id, name)
    );
    CREATE TABLE parcel (wish INTEGER, number TEXT, given TEXT, url TEXT, PRIMARY KEY (wish, number));
    CREATE TABLE item (wish INTEGER, item TEXT, number TEXT, quantity INTEGER, PRIMARY KEY (wish, item, number));
    CREATE INDEX line_of_wish ON line (wish);
    CREATE INDEX wish_of_call ON wish (call);
    CREATE INDEX wish_of_shipment ON wish (shipment);
"""

_FAIL_WITH_ITS_LINE: Final = """
    UPDATE wish SET state = 'FAILED', what_to_do = bad.what_to_do, error =
        CASE WHEN bad.number = wish.number THEN bad.error ELSE 'line ' || bad.number || ': ' || bad.error END
    FROM (SELECT min(number) AS number, wish, error, what_to_do FROM line WHERE blocks GROUP BY wish) AS bad
    WHERE bad.wish = wish.number
"""
_FAIL_REST_BESIDE_BAD: Final = """
    UPDATE wish SET state = 'FAILED', error = ?, what_to_do = ?
    WHERE state = ''
        AND (number NOT IN (SELECT wish FROM item) OR number IN (SELECT wish FROM item WHERE quantity IS NULL))
        AND (
            order_id IN (SELECT order_id FROM line WHERE blocks)
            OR order_id IN (SELECT order_id FROM wish WHERE state = 'FAILED')
        )
"""
_FAIL_SECOND_REST: Final = """
    UPDATE wish SET state = 'FAILED', error = ?, what_to_do = ?
    WHERE state = '' AND number NOT IN (SELECT wish FROM item) AND number NOT IN (
        SELECT min(number) FROM wish WHERE number NOT IN (SELECT wish FROM item) GROUP BY order_id
    )
"""
_FAIL_REST_OF_SHARED_ITEM: Final = """
    UPDATE wish SET state = 'FAILED', error = ?, what_to_do = ?
    WHERE state = '' AND number IN (
        SELECT item.wish FROM item JOIN wish AS its ON its.number = item.wish
        JOIN wish AS other ON other.order_id = its.order_id AND other.number != its.number AND other.state = ''
        JOIN item AS taken ON taken.wish = other.number AND taken.item = item.item
        WHERE item.quantity IS NULL
    )
"""

_CHOSEN: Final = """
    FROM (
        SELECT * FROM wish WHERE state = '' AND number > :after AND (:call IS NULL OR call = :call)
        ORDER BY number LIMIT :limit
    ) AS wish
"""


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a file wants shipped as one parcel, and the line it stands on first."""

    number: int
    wish: Wish


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a parcel, or of a line that is none: ``state`` is "" where nothing was done about it."""

    line: int
    order_id: str
    state: str
    fulfillment_id: str | None
    existed: bool
    error: str
    what_to_do: str


class Spool:
    """The lines of one file; made by ``spooled``."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_TABLES)

    def take(self, lines: Iterable[Line | BadLine]) -> None:
        """Take in all lines, and put them together; every parcel of which a line is bad fails as a whole."""
        with self._database:
            for line in lines:
                self._add(line)
            self._database.execute(_FAIL_WITH_ITS_LINE)

    def calls(self) -> Iterator[list[Spooled]]:
        """Give what is to be shipped, a hundred orders at a time, sorted by carrier."""
        query = "SELECT DISTINCT call FROM wish WHERE call IS NOT NULL ORDER BY call"
        for (call,) in self._database.execute(query).fetchall():
            wishes = self._spooled(call=call)
            if wishes:
                yield wishes

    def sort(self) -> None:
        """Put into calls what is still to be shipped, once it is known what cannot be shipped or is there already."""
        with self._database:
            self._fail_together()
            self._sort()

    def waiting(self, *, at_a_time: int = 500) -> Iterator[list[Spooled]]:
        """Give what nothing was done about yet, in the order of the file."""
        last = 0
        while wishes := self._spooled(after=last, limit=at_a_time):
            last = wishes[-1].number
            yield wishes

    def fail(self, number: int, *, error: str, what_to_do: str) -> None:
        """Keep that a parcel cannot be shipped as it is."""
        change = "UPDATE wish SET state = 'FAILED', error = ?, what_to_do = ? WHERE number = ?"
        with self._database:
            self._database.execute(change, (error, what_to_do, number))

    def put_off(self, number: int, *, error: str, what_to_do: str) -> None:
        """Keep why nothing could be done about a parcel yet."""
        change = "UPDATE wish SET error = ?, what_to_do = ? WHERE number = ?"
        with self._database:
            self._database.execute(change, (error, what_to_do, number))

    def mark(self, number: int, *, state: str) -> None:
        """Keep what a parcel was found to be that is no shipment yet."""
        with self._database:
            self._database.execute("UPDATE wish SET state = ? WHERE number = ?", (state, number))

    def bind(self, shipments: Iterable[tuple[int, str]]) -> None:
        """Keep which shipment each parcel has become."""
        with self._database:
            self._database.executemany(
                "UPDATE wish SET shipment = ? WHERE number = ?", ((shipment, number) for number, shipment in shipments)
            )

    def learn(self, standings: Iterable[Standing], *, existing: Collection[str] = ()) -> None:
        """Keep how shipments stand, and which of them were there before."""
        change = (
            "UPDATE wish SET state = ?, fulfillment = ?, error = ?, what_to_do = ?, existed = max(existed, ?) "
            "WHERE shipment = ?"
        )
        rows = [
            (each.state.value, each.fulfillment_id, each.error, each.what_to_do, each.id in existing, each.id)
            for each in standings
        ]
        with self._database:
            self._database.executemany(change, rows)

    def under_way(self) -> list[str]:
        """Give the shipments that are neither created nor given up."""
        query = """
            SELECT DISTINCT shipment FROM wish WHERE state IN ('READY', 'WAITING_LINK', 'SENDING')
            AND shipment IS NOT NULL ORDER BY number
        """
        return [row[0] for row in self._database.execute(query)]

    def results(self) -> Iterator[Result]:
        """Give what became of every parcel, and of every line that is part of none, in the order of the file."""
        query = """
            SELECT number, order_id, state, fulfillment, existed, error, what_to_do FROM wish
            UNION ALL SELECT number, order_id, 'FAILED', NULL, 0, error, what_to_do FROM line WHERE wish IS NULL
            ORDER BY number
        """
        return (_result(row) for row in self._database.execute(query))

    def left(self) -> Iterator[tuple[int, str, str, str, str]]:
        """Give number, text, state, error and what to do of every line whose parcel is no fulfillment."""
        query = """
            SELECT line.number, raw, coalesce(state, 'FAILED'),
                coalesce(line.error, wish.error, ''), coalesce(line.what_to_do, wish.what_to_do, '')
            FROM line LEFT JOIN wish ON line.wish = wish.number
            WHERE state IS NULL OR state NOT IN ('CREATED', 'VALID') ORDER BY line.number
        """
        return ((row[0], row[1], row[2], row[3], row[4]) for row in self._database.execute(query))

    def total(self) -> int:
        """Give how many results there are."""
        query = "SELECT (SELECT count(*) FROM wish) + (SELECT count(*) FROM line WHERE wish IS NULL)"
        return int(self._database.execute(query).fetchone()[0])

    def dealt_with(self) -> int:
        """Give how many results there are of which something is known."""
        open_ = self._database.execute("SELECT count(*) FROM wish WHERE state = ''").fetchone()[0]
        return self.total() - int(open_)

    def _add(self, line: Line | BadLine) -> None:
        wish = self._wish_of(line.row, number=line.number) if _is_named(line.row) else None
        fault, blocks = None, False
        if isinstance(line, BadLine):
            fault, blocks = (line.error, line.what_to_do), True
        elif wish is not None:
            fault, blocks = self._add_to(wish, line)
        values = (line.number, line.raw, line.row.get("order_id", ""), wish if blocks or not fault else None)
        self._database.execute(
            "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, *(fault or (None, None)), blocks)
        )

    def _wish_of(self, row: Row, *, number: int) -> int:
        """Give the parcel a line is about: the one of its key, or else of its number."""
        name = f"key {row['key']}" if row.get("key") else f"number {normalise(row['tracking_number'])}"
        values = (number, row["order_id"], row["carrier"], name, row.get("key") or None)
        self._database.execute(
            "INSERT OR IGNORE INTO wish (number, order_id, carrier, name, key) VALUES (?, ?, ?, ?, ?)", values
        )
        query = "SELECT number FROM wish WHERE order_id = ? AND name = ?"
        (found,) = self._database.execute(query, (row["order_id"], name)).fetchone()
        return int(found)

    def _add_to(self, wish: int, line: Line) -> tuple[tuple[str, str] | None, bool]:
        """Add a line to its parcel; give what is wrong with it beside the earlier ones, and whether nothing may go."""
        row, item = line.row, line.row.get("line_item_id", "")
        number, url = normalise(row["tracking_number"]), row.get("tracking_url", "")
        quantity = int(row["quantity"]) if row.get("quantity") else None
        query = "SELECT carrier FROM wish WHERE number = ?"
        if self._database.execute(query, (wish,)).fetchone()[0] != row["carrier"]:
            return (f"line {wish} gives the same parcel another carrier", "Give the parcel one carrier."), True
        known = dict(self._database.execute("SELECT number, url FROM parcel WHERE wish = ?", (wish,)).fetchall())
        query = "SELECT item, number, quantity FROM item WHERE wish = ?"
        items = {(each[0], each[1]): each[2] for each in self._database.execute(query, (wish,))}
        if known and bool(item) != bool(items):
            return (f"line {wish} is about the same parcel, and only one of the two names items", _SAY_WHICH), True
        if known.get(number, url) != url:
            return (f"line {wish} gives the same parcel another link", "Give the parcel one link."), True
        if number in known and (not item or (item, number) in items):
            error = f"line {wish} says the same parcel and item already"
            return (error, "Take one of the two lines out."), items.get((item, number)) != quantity
        self._database.execute(
            "INSERT OR IGNORE INTO parcel VALUES (?, ?, ?, ?)", (wish, number, row["tracking_number"], url)
        )
        if item:
            self._database.execute("INSERT INTO item VALUES (?, ?, ?, ?)", (wish, item, number, quantity))
        return None, False

    def _fail_together(self) -> None:
        """Fail what must not go because of another line: once it went, that line could not be corrected any more."""
        change = self._database.execute
        unknown = rest_unknown()
        change(_FAIL_REST_BESIDE_BAD, (unknown.message, unknown.what_to_do))
        error = "an earlier line ships all that remains of the order, so nothing is left for this parcel"
        change(_FAIL_SECOND_REST, (error, _SAY_WHICH))
        error = "another parcel has some of the same line item, so it is not known what remains of it for this one"
        change(_FAIL_REST_OF_SHARED_ITEM, (error, "Give the quantity on each of the lines."))

    def _sort(self) -> None:
        """Give each order its call: sorted by carrier, with all parcels of an order in the same one."""
        self._database.execute("UPDATE wish SET call = NULL")
        change = """
            UPDATE wish SET call = orders.call FROM (
                SELECT order_id, (row_number() OVER (ORDER BY min(carrier), min(number)) - 1) / ? AS call
                FROM wish WHERE state = '' GROUP BY order_id
            ) AS orders WHERE wish.order_id = orders.order_id
        """
        self._database.execute(change, (ORDERS_PER_CALL,))

    def _spooled(self, *, call: int | None = None, after: int = 0, limit: int = -1) -> list[Spooled]:
        """Give parcels that nothing was done about yet, of a call or of all, in the order of the file."""
        values = {"call": call, "after": after, "limit": limit}
        wishes = self._database.execute(f"SELECT * {_CHOSEN} ORDER BY number", values).fetchall()
        parcels: dict[int, list[tuple[str, str | None]]] = defaultdict(list)
        query = (
            f"SELECT parcel.wish, given, url {_CHOSEN} JOIN parcel ON parcel.wish = wish.number ORDER BY parcel.rowid"
        )
        for wish, number, url in self._database.execute(query, values):
            parcels[wish].append((number, url or None))
        items: dict[int, dict[str, int | None]] = defaultdict(dict)
        query = f"SELECT item.* {_CHOSEN} JOIN item ON item.wish = wish.number ORDER BY item.rowid"
        for wish, item, _, quantity in self._database.execute(query, values):
            known = items[wish].get(item, 0)
            items[wish][item] = None if quantity is None or known is None else known + quantity
        return [_spooled(row, parcels[row["number"]], items.get(row["number"], {})) for row in wishes]


def _spooled(row: sqlite3.Row, parcels: Iterable[tuple[str, str | None]], items: Mapping[str, int | None]) -> Spooled:
    wish = Wish(
        order_id=row["order_id"],
        carrier=row["carrier"],
        parcels=tuple(parcels),
        items=items,
        key=row["key"],
        source="file",
    )
    return Spooled(row["number"], wish)


_SAY_WHICH: Final = (
    "Say with line_item_id and quantity on every line what is in each parcel; or, where nobody knows, give both lines "
    "one key: they are then one fulfillment of several parcels."
)


def _is_named(row: Row) -> bool:
    """Tell whether it can be told which parcel a line is about, whatever else is wrong with it."""
    return all(row.get(name) for name in ("order_id", "carrier", "tracking_number"))


def _result(row: sqlite3.Row) -> Result:
    return Result(
        line=row["number"],
        order_id=row["order_id"],
        state=row["state"],
        fulfillment_id=row["fulfillment"],
        existed=bool(row["existed"]),
        error=row["error"],
        what_to_do=row["what_to_do"],
    )


@contextmanager
def spooled() -> Iterator[Spool]:
    """Give an empty spool in the system's folder for temporary files; it is gone afterwards.

    Raise LedgerError where there is no room for it.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="parcelhook-"))
        except OSError as error:
            raise _no_room(error) from error
        try:
            database = stack.enter_context(closing(sqlite3.connect(Path(folder) / "spool.sqlite")))
            database.row_factory = sqlite3.Row
            yield Spool(database)
        except sqlite3.OperationalError as error:
            raise _no_room(error) from error


def _no_room(error: Exception) -> LedgerError:
    msg = f"the file's lines cannot be kept in {tempfile.gettempdir()} while they are shipped: {error}"
    return LedgerError(msg, what_to_do="Make room there, or name another folder in TMPDIR, and run the command again.")
