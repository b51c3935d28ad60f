"""Decompress an answer piece by piece, so that a small one that unfolds into gigabytes is cut at the cap."""

from __future__ import annotations

import zlib
from typing import Final

_EITHER_HEADER: Final = 47  # zlib's own number for "gzip or zlib, see the header"


class UnknownCoding(Exception):
    """Report a body that is larger than the cap, broken, or packed in a way nobody asked for."""


class Inflater:
    """Collect a body of at most ``cap`` bytes after decompression."""

    def __init__(self, coding: str, *, cap: int) -> None:
        coding = coding.strip().lower()
        if coding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            msg = "the answer is packed in a way that was not asked for"
            raise UnknownCoding(msg)
        self._packed = coding not in {"", "identity"}
        self._cap = cap
        self._body = bytearray()
        self._zlib = zlib.decompressobj(_EITHER_HEADER)

    def feed(self, chunk: bytes) -> None:
        """Add a piece of the body as it came over the wire."""
        while chunk:
            chunk = self._unpacked(chunk) if self._packed else self._plain(chunk)
            if len(self._body) > self._cap:
                msg = f"the answer is larger than {self._cap} bytes"
                raise UnknownCoding(msg)

    def done(self) -> bytes:
        """Give the whole body; raise UnknownCoding where its end is missing."""
        if self._packed and self._body and not self._zlib.eof:
            msg = "the answer breaks off"
            raise UnknownCoding(msg)
        return bytes(self._body)

    def _plain(self, chunk: bytes) -> bytes:
        self._body += chunk
        return b""

    def _unpacked(self, chunk: bytes) -> bytes:
        if self._zlib.eof:
            self._zlib = zlib.decompressobj(_EITHER_HEADER)
        try:
            self._body += self._zlib.decompress(chunk, self._cap + 1 - len(self._body))
        except zlib.error:
            msg = "the answer is not packed as it says"
            raise UnknownCoding(msg) from None
        return self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
