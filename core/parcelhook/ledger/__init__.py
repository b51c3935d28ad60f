"""The ledger: the truth about every order, in SQLite or PostgreSQL, with a row for each effect before it happens."""

from __future__ import annotations

from parcelhook.ledger import moves as moves
from parcelhook.ledger.database import DEFAULT_URL as DEFAULT_URL
from parcelhook.ledger.facade import Ledger as Ledger
from parcelhook.ledger.parcels import Judgement as Judgement
from parcelhook.ledger.parcels import Recorded as Recorded
from parcelhook.ledger.rows import Added as Added
from parcelhook.ledger.rows import BookingRow as BookingRow
from parcelhook.ledger.rows import CallRow as CallRow
from parcelhook.ledger.rows import EventRow as EventRow
from parcelhook.ledger.rows import HistoryEntry as HistoryEntry
from parcelhook.ledger.rows import InboxEvent as InboxEvent
from parcelhook.ledger.rows import NewParcel as NewParcel
from parcelhook.ledger.rows import NewShipment as NewShipment
from parcelhook.ledger.rows import ParcelRow as ParcelRow
from parcelhook.ledger.rows import ShipmentParcel as ShipmentParcel
from parcelhook.ledger.rows import ShipmentRow as ShipmentRow
from parcelhook.ledger.rows import StoreRow as StoreRow
from parcelhook.ledger.states import BookingState as BookingState
from parcelhook.ledger.states import State as State
