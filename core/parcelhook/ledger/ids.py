"""Ids that sort in the order in which they were made."""

from __future__ import annotations

import secrets
import time


def ordered_id() -> str:
    """Make a unique id of 32 hexadecimal digits that sorts after every one this process made before."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"
