"""Deliver events to the registered URLs, signed, and again after failures (About Webhooks, Webhook Resend Policy)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable

import httpx
from joserfc import jws
from joserfc.jwk import RSAKey

from parcelhook.sandbox.events import Delivery, Event
from parcelhook.sandbox.settings import Panel

_MINUTE = 60
_HOUR = 60 * _MINUTE
# Webhook Resend Policy: each wait follows the previous failure.
RETRY_WAITS = (
    _MINUTE,
    10 * _MINUTE,
    _HOUR,
    2 * _HOUR,
    2 * _HOUR,
    2 * _HOUR,
    4 * _HOUR,
    4 * _HOUR,
    4 * _HOUR,
    8 * _HOUR,
    8 * _HOUR,
    12 * _HOUR,
)
_AT_ONCE = 16


class Signer:
    """Sign with a key that is made here and never leaves."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"use": "sig"}, private=True, auto_kid=True)

    def public_pem(self) -> bytes:
        """Give the public key."""
        return self._key.as_pem(private=False)

    def sign(self, envelope: str, *, lifetime: int) -> str:
        """Sign an envelope as a compact RS256 token."""
        issued = int(time.time())
        claims = {"data": envelope, "iat": issued, "exp": issued + lifetime}
        header = {"alg": "RS256", "kid": self._key.kid}
        return jws.serialize_compact(header, json.dumps(claims), self._key, algorithms=["RS256"])


class Deliverer:
    """Send each event to each registered URL in the background, without holding up the API."""

    def __init__(self, panel: Panel, signer: Signer, *, time_scale: float, deadline: float) -> None:
        self._panel = panel
        self._signer = signer
        self._time_scale = time_scale
        self._deadline = deadline
        self._hooks: dict[str, frozenset[str] | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._client: httpx.AsyncClient | None = None

    def register(self, url: str, *, event_types: Iterable[str] | None = None) -> None:
        """Send every event from now on to a URL, or only those of some types."""
        self._hooks[url] = None if event_types is None else frozenset(event_types)

    def unregister(self, url: str) -> None:
        """Send nothing more to a URL."""
        self._hooks.pop(url, None)

    def registered(self) -> list[str]:
        """List the URLs."""
        return list(self._hooks)

    def send(self, event: Event) -> None:
        """Start delivering an event; return at once."""
        for url, event_types in self._hooks.items():
            if event_types is not None and event.event_type not in event_types:
                continue
            delivery = Delivery(url)
            event.deliveries.append(delivery)
            task = asyncio.get_running_loop().create_task(self._deliver(event, delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop delivering."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _deliver(self, event: Event, delivery: Delivery) -> None:
        token = ""
        for wait in (0, *RETRY_WAITS):
            await asyncio.sleep(wait * self._time_scale)
            async with self._slots:
                if not token or self._panel.now.webhook_signed_again:
                    token = self._signer.sign(event.written(), lifetime=self._panel.now.webhook_lifetime_seconds)
                status = await self._attempt(delivery.url, token)
            delivery.statuses.append(status)
            if self._is_success(status):
                delivery.delivered = True
                return
        delivery.given_up = True

    async def _attempt(self, url: str, token: str) -> int:
        if self._client is None:
            # The store is on loopback and so are its receivers: no proxy of the environment may step in.
            self._client = httpx.AsyncClient(trust_env=False, timeout=None)  # noqa: S113
        headers = {"content-type": self._panel.now.webhook_content_type}
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._client.post(url, content=token, headers=headers)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL):
            return 0
        return response.status_code

    def _is_success(self, status: int) -> bool:
        if self._panel.now.webhook_success == "2xx":
            return 200 <= status < 300  # noqa: PLR2004
        return status == httpx.codes.OK
