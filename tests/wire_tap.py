"""A tap on the wire to a sandbox: passes every request on, and keeps what was sent, its headers and body included.

The sandbox's own log says which calls were made; this says what was in them, and in which order they began.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

GIVE_UP_SECONDS: Final = 60.0
NOT_OURS: Final = frozenset({"connection", "content-length", "date", "host", "server", "transfer-encoding"})


@dataclass
class Passed:
    """A request that passed; ``status`` is 0 until it is answered, and where it never was."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Give the body as JSON; None without one."""
        return json.loads(self.body) if self.body else None


@dataclass
class Tap:
    """Where the tap listens, and what passed it, in the order in which it came."""

    url: str = ""
    passed: list[Passed] = field(default_factory=list)

    def about(self, *words: str, method: str = "") -> list[Passed]:
        """Give the requests whose path holds all of these words."""
        wanted = [each for each in list(self.passed) if all(word in each.path for word in words)]
        return [each for each in wanted if method in {"", each.method}]

    def credentials(self) -> set[str]:
        """Give what callers showed to be let in."""
        names = ("authorization", "x-courier-key")
        return {each.headers[name] for each in list(self.passed) for name in names if name in each.headers}


@contextmanager
def tapped(url: str) -> Iterator[Tap]:
    """Listen on loopback and pass everything on to ``url``."""
    tap, host = Tap(), urlsplit(url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            its = Passed(self.command, self.path, headers, body)
            tap.passed.append(its)
            try:
                status, named, answer = _asked(host, its)
            except (OSError, http.client.HTTPException):
                # The sandbox broke its connection, so the caller's is broken too.
                self.close_connection = True
                return
            its.status = status
            with suppress(OSError):
                self.send_response_only(status)
                for name, value in [*named, ("content-length", str(len(answer)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

        do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = pass_on  # noqa: N815 - as http.server names them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Say nothing: a caller may hang up at its deadline."""

    with Server(("127.0.0.1", 0), Handler) as server:
        tap.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield tap
        finally:
            server.shutdown()
            thread.join()


def _asked(host: str, its: Passed) -> tuple[int, Sequence[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection(host, timeout=GIVE_UP_SECONDS)
    try:
        headers = {name: value for name, value in its.headers.items() if name not in NOT_OURS}
        connection.request(its.method, its.path, body=its.body or None, headers=headers)
        answer = connection.getresponse()
        named = [(name, value) for name, value in answer.getheaders() if name.lower() not in NOT_OURS]
        return answer.status, named, answer.read()
    finally:
        connection.close()
