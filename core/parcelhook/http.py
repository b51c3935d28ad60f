"""Talk to a carrier: one client per carrier that knows its hosts, keeps its deadlines and repeats no secret."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from parcelhook import __version__
from parcelhook.answer import Answer, refusal
from parcelhook.context import Json, Query
from parcelhook.errors import CarrierError, CarrierRefused, CarrierThrottled, CarrierUnavailable, CarrierUnreadable
from parcelhook.inflate import Inflater, UnknownCoding
from parcelhook.links import is_loopback

if TYPE_CHECKING:
    import httpx

    from parcelhook.carrier import Quota

USER_AGENT: Final = f"parcelhook/{__version__}"
REDIRECTS: Final = 5
"""How many redirects one call follows."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_PASSING: Final = frozenset({502, 503, 504})
_OK: Final = range(200, 300)


@dataclass(frozen=True, kw_only=True)
class HttpLimits:
    """How long and how much one call may take; times in seconds, ``body`` in bytes after decompression."""

    total: float = 20.0
    connect: float = 5.0
    body: int = 10_000_000
    attempts: int = 3
    backoff: float = 0.25
    longest_wait: float = 5.0


class HttpCarrierClient:
    """The CarrierClient every hook is given, over httpx, which is imported when the first call is made."""

    def __init__(self, carrier: str, *, hosts: tuple[str, ...], limits: HttpLimits, quota: Quota | None = None) -> None:
        """Bind to a carrier's base URLs; paths are relative to the first of ``hosts``."""
        self._carrier = carrier
        self._hosts = hosts
        self._origins = frozenset(origin(host) for host in hosts)
        self._limits = limits
        self._quota = quota
        self._sent: deque[float] = deque()
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def get(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send GET."""
        return await self._call(self._request("GET", path, query=query, headers=headers), accept)

    async def post(
        self,
        path: str,
        *,
        json: Json = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send POST with at most one of ``json``, ``form`` and ``content``."""
        request = self._request("POST", path, query=query, headers=headers, json=json, form=form, content=content)
        return await self._call(request, accept)

    async def put(
        self,
        path: str,
        *,
        json: Json = None,
        content: bytes | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send PUT with at most one of ``json`` and ``content``."""
        request = self._request("PUT", path, query=query, headers=headers, json=json, content=content)
        return await self._call(request, accept)

    async def delete(
        self,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """Send DELETE."""
        return await self._call(self._request("DELETE", path, query=query, headers=headers), accept)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _open(self) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415 - half a second that most commands need not pay

        # Connections belong to a loop: where the loop is another one, the old connections went with the old one.
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = httpx.AsyncClient(
                headers={"user-agent": USER_AGENT, "accept-encoding": "gzip"},
                timeout=httpx.Timeout(self._limits.total, connect=self._limits.connect),
                trust_env=not any(is_loopback(host) for _, host, _ in self._origins),
            )
        return self._client

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None,
        headers: Mapping[str, str] | None,
        json: Json = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Request:
        if sum(body is not None for body in (json, form, content)) > 1:
            msg = "takes one of json, form and content"
            raise ValueError(msg)
        import httpx  # noqa: PLC0415 - as above

        client = self._open()
        if not self._hosts:
            raise self._error(CarrierRefused, "has no API host", f"Set host in [carriers.{self._carrier}].")
        full = path.startswith(("https://", "http://"))
        url = path if full else f"{self._hosts[0].rstrip('/')}/{path.lstrip('/')}"
        try:
            request = client.build_request(
                method, url, params=query, headers=headers, json=json, data=form, content=content
            )
        except httpx.InvalidURL:
            raise self._error(CarrierRefused, f"{method}: the path makes no valid URL") from None
        # httpx resolves dot segments by itself, so they are looked for in the path as it was given.
        if ".." in unquote(path.partition("?")[0]).split("/"):
            raise self._error(CarrierRefused, f"{method} {request.url.host}: leads away from the carrier's hosts")
        self._refuse_foreign(request)
        return request

    def _refuse_foreign(self, request: httpx.Request) -> None:
        url = request.url
        if origin(str(url)) not in self._origins or url.userinfo:
            raise self._error(CarrierRefused, f"{request.method} {url.host}: leads away from the carrier's hosts")

    async def _call(self, request: httpx.Request, accept: Collection[int]) -> Answer:
        try:
            async with asyncio.timeout(self._limits.total):
                answer = await self._tried(request, accept, monotonic() + self._limits.total)
        except TimeoutError:
            answer = None
        if answer is None:
            raise self._error(CarrierUnavailable, f"{_named(request)}: no answer within {self._limits.total:g} s")
        return answer

    async def _tried(self, request: httpx.Request, accept: Collection[int], end: float) -> Answer:
        attempt = 1
        while True:
            try:
                return await self._followed(request, accept)
            except (CarrierThrottled, CarrierUnavailable) as error:
                wait = self._wait_before(attempt, error) if request.method in _SAFE else None
                if wait is None or monotonic() + wait >= end:
                    raise
            attempt += 1
            await asyncio.sleep(wait)

    def _wait_before(self, attempt: int, error: CarrierError) -> float | None:
        """Give the seconds before the next attempt, or None where another one is not due."""
        throttled = isinstance(error, CarrierThrottled)
        if attempt >= self._limits.attempts or (throttled and error.retry_after is None):
            return None
        if error.code and not throttled and int(error.code) not in _PASSING:
            return None
        backoff = self._limits.backoff * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        wait = max(backoff, error.retry_after or 0.0)
        return wait if wait <= self._limits.longest_wait else None

    async def _followed(self, request: httpx.Request, accept: Collection[int]) -> Answer:
        for _ in range(REDIRECTS + 1):
            self._spend(request)
            answer, following = await self._sent_once(request)
            if answer.status in _OK or answer.status in accept:
                return answer
            if following is None:
                raise refusal(answer)
            self._refuse_foreign(following)
            request = following
        raise self._error(CarrierRefused, f"{_named(request)}: more than {REDIRECTS} redirects")

    def _spend(self, request: httpx.Request) -> None:
        """Count a call against the carrier's quota; raise CarrierThrottled where it is used up."""
        if self._quota is None:
            return
        now = monotonic()
        while self._sent and self._sent[0] <= now - self._quota.seconds:
            self._sent.popleft()
        if len(self._sent) >= self._quota.calls:
            wait = self._sent[0] + self._quota.seconds - now
            msg = f"{_named(request)}: over {self._quota.calls} calls in {self._quota.seconds} s"
            raise CarrierThrottled(msg, carrier=self._carrier, retry_after=wait)
        self._sent.append(now)

    async def _sent_once(self, request: httpx.Request) -> tuple[Answer, httpx.Request | None]:
        import httpx  # noqa: PLC0415 - as above

        try:
            response = await self._open().send(request, stream=True)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        except httpx.RequestError as error:
            problem = _problem(error)
        except UnknownCoding as error:
            raise self._error(CarrierUnreadable, f"{_named(request)}: {error}") from None
        else:
            answer = Answer(response.status_code, dict(response.headers), body, _named(request), self._carrier)
            return answer, response.next_request
        # Raised out here, for httpx's error holds the request with its headers and must not hang on ours.
        raise self._error(CarrierUnavailable, f"{_named(request)}: {problem}")

    async def _body(self, response: httpx.Response) -> bytes:
        inflater = Inflater(response.headers.get("content-encoding", ""), cap=self._limits.body)
        chunks: AsyncIterator[bytes] = response.aiter_raw()
        async for chunk in chunks:
            inflater.feed(chunk)
        return inflater.done()

    def _error(self, kind: type[CarrierError], message: str, what_to_do: str = "") -> CarrierError:
        return kind(message, carrier=self._carrier, what_to_do=what_to_do)


def origin(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port of a URL, in lower case and with the default port filled in."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or (80 if parts.scheme == "http" else 443)


def _named(request: httpx.Request) -> str:
    """Name a request without its query, which may hold a key."""
    return f"{request.method} {request.url.host}{request.url.path}"


def _problem(error: httpx.RequestError) -> str:
    import httpx  # noqa: PLC0415 - as above

    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return "no connection"
    return "no answer in time" if isinstance(error, httpx.TimeoutException) else "the connection broke"
