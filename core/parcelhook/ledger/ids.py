"""Ids that sort in the order in which they were made."""

from __future__ import annotations

import os
import time
from random import Random
from typing import Final

# Unique, and no secret: a source of its own, for the system's is asked for each number anew.
_RANDOM: Final = Random(os.urandom(32))  # noqa: S311 - as above
os.register_at_fork(after_in_child=lambda: _RANDOM.seed(os.urandom(32)))


def ordered_id() -> str:
    """Make a unique id of 32 hexadecimal digits that sorts after every one this process made before."""
    return f"{time.time_ns():016x}{_RANDOM.getrandbits(64):016x}"
