"""Record what a server answered once, and replay it without a network.

Import the fixture where it is wanted; recording needs ``PARCELHOOK_RECORD=1``::

    from parcelhook.testing.cassettes import tape  # noqa: F401

    def test_delivered(tape):
        with tape("cassettes/acme/track/delivered.yaml"):
            ...
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

if TYPE_CHECKING:
    from vcr.request import Request

SECRETS: Final = (
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "client_id",
    "client_secret",
    "cookie",
    "dhl-api-key",
    "password",
    "proxy-authorization",
    "refresh_token",
    "set-cookie",
    "token",
    "x-api-key",
)
"""Names whose values never reach a cassette: of headers, query and form fields, and JSON members at any depth."""

REDACTED: Final = "REDACTED"

Rewrite: TypeAlias = Callable[[str], str]
"""Changes each URL, header and body while it is recorded, so that recording again gives the same file."""

# they tell about the recording, not about the service
_INCIDENTAL = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "date",
        "host",
        "server",
        "transfer-encoding",
        "user-agent",
    }
)
_MATCH_ON = ("method", "scheme", "host", "port", "path", "query", "meaning")


@contextmanager
def cassette(
    path: str | Path, *, record: bool = False, redact: Sequence[str] = (), rewrite: Rewrite = str
) -> Iterator[None]:
    """Replay a cassette, or record it anew.

    Requests match by method, URL, query and body (JSON by its value). On replay no connection can be opened, a request
    that is not on the cassette is an error, and so is one on it that was not made. ``redact`` adds names to SECRETS.
    """
    import vcr  # noqa: PLC0415 - costs time, and is only there where tests run

    path, secret = Path(path), frozenset(name.lower() for name in (*SECRETS, *redact))
    # on replay the client already speaks in the rewritten terms
    rewrite = rewrite if record else str
    if record:
        path.unlink(missing_ok=True)
    recorder = vcr.VCR(
        record_mode="all" if record else "none",
        match_on=_MATCH_ON,
        decode_compressed_response=True,
        before_record_request=lambda request: _clean_request(request, secret, rewrite),
        before_record_response=lambda response: _clean_response(response, secret, rewrite),
    )
    recorder.register_matcher("meaning", _same_meaning)
    with recorder.use_cassette(str(path)) as played:
        if record:
            yield
            return
        with patch.object(socket.socket, "connect", _refuse):
            yield
        if not played.all_played:
            msg = f"{path}: {len(played) - played.play_count} recorded calls were not made"
            raise AssertionError(msg)


@pytest.fixture
def tape() -> Callable[..., AbstractContextManager[None]]:
    """Give ``cassette``, recording where PARCELHOOK_RECORD is set."""
    record = bool(os.environ.get("PARCELHOOK_RECORD"))

    def play(path: str | Path, *, redact: Sequence[str] = (), rewrite: Rewrite = str) -> AbstractContextManager[None]:
        return cassette(path, record=record, redact=redact, rewrite=rewrite)

    return play


def _refuse(*_: object) -> None:
    msg = "no connection is opened while a cassette is replayed"
    raise ConnectionRefusedError(msg)


def _clean_request(request: Request, secret: frozenset[str], rewrite: Rewrite) -> Request:
    """Copy a request as it may be kept; the one that is sent stays as it is."""
    from vcr.request import Request as Copy  # noqa: PLC0415 - as in cassette()

    url = urlsplit(rewrite(request.uri))
    query = urlencode([(name, _value(name, value, secret)) for name, value in parse_qsl(url.query, True)])
    headers = {name: rewrite(value) for name, value in _headers(request.headers, secret).items()}
    kind = str(request.headers.get("content-type", ""))
    return Copy(
        request.method, urlunsplit(url._replace(query=query)), _body(request.body, kind, secret, rewrite), headers
    )


def _clean_response(response: dict[str, Any], secret: frozenset[str], rewrite: Rewrite) -> dict[str, Any]:
    first = {name.lower(): value[0] for name, value in response["headers"].items()}
    body = _body(response["body"]["string"], first.get("content-type", ""), secret, rewrite)
    headers = {name: [rewrite(value)] for name, value in _headers(first, secret).items()}
    return {**response, "headers": headers, "body": {"string": body}}


def _headers(headers: dict[str, str], secret: frozenset[str]) -> dict[str, str]:
    named = {name.lower(): value for name, value in headers.items()}
    return {name: _value(name, value, secret) for name, value in named.items() if name not in _INCIDENTAL}


def _value(name: str, value: str, secret: frozenset[str]) -> str:
    return REDACTED if name.lower() in secret else value


def _body(body: bytes | None, kind: str, secret: frozenset[str], rewrite: Rewrite) -> bytes | None:
    """Clean a body: JSON and forms by name; anything else, broken JSON included, is only rewritten."""
    if not body:
        return body
    text = rewrite(body.decode("utf-8", "replace"))
    if kind.startswith("application/x-www-form-urlencoded"):
        return urlencode([(name, _value(name, value, secret)) for name, value in parse_qsl(text, True)]).encode()
    try:
        data = json.loads(text)
    except ValueError:
        return text.encode()
    kept = _redacted(data, secret)
    # what holds no secret stays as it was written
    return (text if kept == data else json.dumps(kept, ensure_ascii=False)).encode()


def _redacted(data: Any, secret: frozenset[str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(data, dict):
        return {name: REDACTED if name.lower() in secret else _redacted(value, secret) for name, value in data.items()}
    return [_redacted(each, secret) for each in data] if isinstance(data, list) else data


def _same_meaning(one: Request, other: Request) -> bool:
    """Match two bodies: JSON by its value, anything else by its bytes."""
    return _meaning(one.body) == _meaning(other.body)


def _meaning(body: bytes | None) -> object:
    try:
        return json.loads(body or b"null")
    except ValueError:
        return body
