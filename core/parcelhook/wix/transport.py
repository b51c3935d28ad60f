"""HTTP for the Wix client: one total deadline for each call, a capped body, and faults told apart by what was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from math import inf
from ssl import SSLContext
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from parcelhook.errors import WixNoAnswer, WixUnreachable, WixUnreadable
from parcelhook.links import is_loopback

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_CONNECTIONS = 20
_KEPT = 5.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: status, headers by lower-case name, and the whole body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        """Give Wix's id of the request, or ""."""
        return self.headers.get("x-wix-request-id", "")


class HttpLine:
    """A connection pool to one base URL; safe to use from several threads."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float,
        body_cap: int,
        user_agent: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = timeout
        self._body_cap = body_cap
        self._transport = DeadlineTransport(proxy=_proxy_of(httpx.URL(base_url)), monotonic=monotonic)
        self._http = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT)),
            transport=self._transport,
            headers={"user-agent": user_agent, "accept": "application/json"},
            # no call depends on what an earlier one left behind
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(
        self, operation: str, method: str, path: str, *, json: object = None, headers: Mapping[str, str]
    ) -> Answer:
        """Send one request and read the whole answer within the deadline.

        Raises WixUnreachable where no connection was opened, WixNoAnswer where it broke or took too long afterwards,
        WixUnreadable where the answer is larger than the cap.
        """
        try:
            self._transport.begin(self._timeout)
            with self._http.stream(method, path, json=json, headers=dict(headers)) as response:
                return Answer(response.status_code, response.headers, self._read(response, operation))
        except _NOTHING_SENT as error:
            msg = f"{operation}: no connection to Wix could be opened: {error}"
            hint = _NO_TLS if any(sign in str(error) for sign in _SIGNS_OF_NO_TLS) else _CHECK_NETWORK
            raise WixUnreachable(msg, operation=operation, what_to_do=hint) from error
        except httpx.TimeoutException as error:
            msg = f"{operation}: no complete answer from Wix within {self._timeout:g} s"
            raise WixNoAnswer(msg, operation=operation, what_to_do=_LOOK_FIRST) from error
        except httpx.HTTPError as error:
            # not the error's own words: they may hold a piece of what was received
            msg = f"{operation}: the connection to Wix broke before the answer was complete ({type(error).__name__})"
            raise WixNoAnswer(msg, operation=operation, what_to_do=_LOOK_FIRST) from error

    def _read(self, response: httpx.Response, operation: str) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self._body_cap:
                msg = f"{operation}: the answer is larger than {self._body_cap:,} bytes"
                raise WixUnreadable(
                    msg,
                    operation=operation,
                    status=response.status_code,
                    request_id=response.headers.get("x-wix-request-id", ""),
                    what_to_do="Check that the configured URL is Wix's.",
                )
        return bytes(body)


# an address that does not answer leaves time for the next one, which may be of the other IP version
_CONNECT = 5.0
_CHECK_NETWORK = "Check the network, and try again."
_NO_TLS = (
    "What answers on this port speaks no https: correct the port of the Wix URL, or, for a sandbox on this machine, "
    "begin the URL with http://."
)
_SIGNS_OF_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF", "HTTP_REQUEST")
"""What OpenSSL's versions call an answer that is not TLS."""

_LOOK_FIRST = "A write may have happened all the same; parcelhook looks before it sends anything again."


def _proxy_of(url: httpx.URL) -> httpx.Proxy | None:
    """Give the proxy the environment names for a URL (HTTPS_PROXY, NO_PROXY); none for this machine's own."""
    proxy = getproxies().get(url.scheme)
    return httpx.Proxy(proxy) if proxy and not is_loopback(url.host) and not proxy_bypass(url.host) else None


@cache
def _trusted_authorities() -> SSLContext:
    """Load the certificate authorities once: it takes 20 ms, and there may be hundreds of stores."""
    return httpx.create_ssl_context()


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport with a total deadline.

    httpx bounds each single read, so that a server that sends a byte now and then holds a call for ever. Here each read
    and write gets what is left of the whole call's time. Only the system's name lookup is outside of it.
    """

    def __init__(self, *, proxy: httpx.Proxy | None, monotonic: Callable[[], float]) -> None:
        context = _trusted_authorities()
        super().__init__(verify=context)
        self._deadline = _Deadline(monotonic)
        backend = _Backend(self._deadline)
        if proxy is None:
            self._pool = httpcore.ConnectionPool(
                ssl_context=context, max_connections=_CONNECTIONS, keepalive_expiry=_KEPT, network_backend=backend
            )
        else:
            self._pool = httpcore.HTTPProxy(
                proxy_url=str(proxy.url),
                proxy_auth=proxy.raw_auth,
                ssl_context=context,
                max_connections=_CONNECTIONS,
                keepalive_expiry=_KEPT,
                network_backend=backend,
            )

    def begin(self, seconds: float) -> None:
        """Give everything this thread sends and reads from now on so many seconds in all."""
        self._deadline.start(seconds)


class _Deadline(threading.local):
    """When the call of the present thread must be over."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._end = inf

    def start(self, seconds: float) -> None:
        self._end = self._monotonic() + seconds

    def cut(self, timeout: float | None, error: type[Exception]) -> float:
        """Give the shorter of a timeout and what is left; raise the error when nothing is."""
        left = self._end - self._monotonic()
        if left <= 0:
            msg = "the time for the whole call is over"
            raise error(msg)
        return left if timeout is None else min(timeout, left)

    def in_time(self, stream: httpcore.NetworkStream) -> httpcore.NetworkStream:
        """Give a connection back unless it came too late: then nothing was sent yet, and that is how it is told."""
        try:
            self.cut(None, httpcore.ConnectTimeout)
        except httpcore.ConnectTimeout:
            stream.close()
            raise
        return stream


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._inner = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.cut(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return self._deadline.in_time(_Stream(stream, self._deadline))


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.cut(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # in pieces, so that a server that takes a byte now and then is cut off too
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], self._deadline.cut(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._deadline.cut(timeout, httpcore.ConnectTimeout)
        stream = self._inner.start_tls(ssl_context, server_hostname, timeout)
        return self._deadline.in_time(_Stream(stream, self._deadline))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore declares it
        return self._inner.get_extra_info(info)


_PIECE = 16_384
