"""Who may call, and how often (Create Access Token, About API Keys, Rate Limits)."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Mapping
from hmac import compare_digest

from parcelhook.sandbox.refusals import EMPTY, Business, Refusal
from parcelhook.sandbox.settings import Panel, SandboxSettings
from parcelhook.sandbox.validation import Json

_FIELDS = ("grant_type", "client_id", "client_secret", "instance_id")


class Gate:
    """Grant tokens and admit calls that carry a token or the API key."""

    def __init__(self, settings: SandboxSettings, panel: Panel) -> None:
        self._settings = settings
        self._panel = panel
        self._tokens: dict[str, float] = {}
        self.limiter = Limiter(panel, per_window=settings.rate_limit, window=settings.rate_window)

    def grant(self, request: Json) -> Json:
        """Grant an access token for client credentials."""
        missing = [name for name in _FIELDS if not isinstance(request.get(name), str)]
        if missing:
            raise self._refuse_token("invalid_request", f"{', '.join(missing)} must be given as a string", status=400)
        if request["grant_type"] != "client_credentials":
            raise self._refuse_token("unsupported_grant_type", "only client_credentials is supported", status=400)
        settings = self._settings
        known = _same(request["client_id"], settings.app_id) and _same(request["client_secret"], settings.app_secret)
        if not known:
            raise self._refuse_token("invalid_client", "the app id or the app secret is not known")
        if not _same(request["instance_id"], settings.instance_id):
            raise self._refuse_token("invalid_grant", "the app is not installed as this instance")
        token = f"OauthNG.JWS.{secrets.token_urlsafe(48)}"
        self._tokens[token] = time.monotonic() + settings.token_seconds
        return {"access_token": token, "token_type": "Bearer", "expires_in": settings.token_seconds}

    def revoke(self) -> None:
        """Let every token expire now."""
        self._tokens.clear()

    def admit(self, headers: Mapping[str, str]) -> Json:
        """Give the identity behind a call, or refuse it."""
        given = headers.get("authorization", "").strip()
        if _same(given, self._settings.api_key):
            identity = self._admit_key(headers)
            self.limiter.spend("key")
            return identity
        scheme, _, rest = given.partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else given
        if self._tokens.get(token, 0.0) <= time.monotonic():
            raise Refusal(401, dict(EMPTY) | {"message": "the access token is missing, unknown or expired"})
        self.limiter.spend("app")
        return {"identityType": "APP", "appId": self._settings.app_id}

    def _admit_key(self, headers: Mapping[str, str]) -> Json:
        if "wix-account-id" in headers:
            raise Refusal(400, dict(EMPTY) | {"message": "send wix-site-id or wix-account-id, not both"})
        if "wix-site-id" not in headers:
            raise Refusal(400, dict(EMPTY) | {"message": "a call with an API key needs wix-site-id"})
        if headers["wix-site-id"] != self._settings.site_id:
            raise Refusal(403, dict(EMPTY) | {"message": "the API key has no permission for this site"})
        return {"identityType": "WIX_USER", "wixUserId": self._settings.site_id}

    def _refuse_token(self, error: str, description: str, *, status: int | None = None) -> Refusal:
        switches = self._panel.now
        body: Json = {"error": error, "error_description": description}
        if switches.token_refusal_body == "wix":  # noqa: S105
            body = {"message": description, "details": {}}
        return Refusal(status or switches.token_refusal_status, body)


class Limiter:
    """Count calls in a sliding window; 0 lets every call through."""

    def __init__(self, panel: Panel, *, per_window: int, window: float) -> None:
        self._panel = panel
        self._window = window
        self._spent: dict[str, deque[float]] = {}
        self.per_window = per_window

    def spend(self, caller: str) -> None:
        """Count one call of an app instance or API key, or refuse it."""
        switches = self._panel.now
        if self.per_window == 0 or (caller == "key" and switches.api_key_rate_limit == "none"):
            return
        spent = self._spent.setdefault("app" if switches.api_key_rate_limit == "shared" else caller, deque())
        moment = time.monotonic()
        while spent and spent[0] <= moment - self._window:
            spent.popleft()
        if len(spent) >= self.per_window:
            raise self._refusal(spent[0] + self._window - moment)
        spent.append(moment)

    def _refusal(self, seconds: float) -> Refusal:
        switches = self._panel.now
        headers = {"retry-after": str(int(seconds) + 1)} if switches.rate_limit_retry_after else None
        if switches.rate_limit_body == "empty":
            return Refusal(429, EMPTY, headers=headers)
        return Business(429, "too many requests", code="RESOURCE_EXHAUSTED", headers=headers)


def _same(given: str, secret: str) -> bool:
    return compare_digest(given.encode(), secret.encode())
