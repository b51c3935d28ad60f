"""How calls are authorised: OAuth client credentials of an app, or an API key.

Source: Wix, "Create Access Token" and "About API Keys".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Protocol, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from parcelhook.models import Model
from parcelhook.wix.wire import JsonObject, Wire

RENEW_BEFORE: Final = 120.0
"""Seconds before its end from which a token is not used any more, and at most half its life."""

_LIFE: Final = 300.0
"""Seconds a token is trusted where Wix does not say how long it lives; it says four hours."""


_HEADER = re.compile(r"[\x21-\x7e]+")


def _in_header(value: str) -> str:
    """Trim a value that goes into a header; what a header cannot hold would be shown by the error that refuses it."""
    value = value.strip()
    if not _HEADER.fullmatch(value):
        msg = "must be printable ASCII without blanks"
        raise ValueError(msg)
    return value


def _secret_in_header(secret: SecretStr) -> SecretStr:
    return SecretStr(_in_header(secret.get_secret_value()))


HeaderText: TypeAlias = Annotated[str, AfterValidator(_in_header)]


class OAuthCredentials(Model):
    """An app's id and secret, and the id of its instance on one site."""

    model_config = ConfigDict(hide_input_in_errors=True)

    app_id: str
    app_secret: SecretStr
    instance_id: str


class ApiKey(Model):
    """An API key and the id of the site it is used for."""

    model_config = ConfigDict(hide_input_in_errors=True)

    key: Annotated[SecretStr, AfterValidator(_secret_in_header)]
    site_id: HeaderText


class Token(Wire):
    """The answer of the token endpoint, whose names are OAuth's."""

    access_token: HeaderText = Field(alias="access_token", repr=False)
    expires_in: float = Field(default=_LIFE, alias="expires_in", gt=0, allow_inf_nan=False)


class Signer(Protocol):
    """What gives a call its headers, and knows whether a 401 is worth another try."""

    def headers(self) -> dict[str, str]:
        """Give the headers that authorise a call."""
        ...

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Forget what Wix refused; tell whether ``headers`` may now give something better."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """Give what must not be shown, should Wix's answer repeat it."""
        ...


class KeySigner:
    """Authorise by API key: the key as it is, and the site it is used for."""

    def __init__(self, key: ApiKey) -> None:
        self._key = key

    def headers(self) -> dict[str, str]:
        """Give the key and the site id."""
        return {"authorization": self._key.key.get_secret_value(), "wix-site-id": self._key.site_id}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002
        """Say no: a refused key stays refused."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """Give the key."""
        return (self._key.key.get_secret_value(),)


class TokenSigner:
    """Authorise by access token, kept until shortly before its end; concurrent threads get one new token."""

    def __init__(
        self,
        credentials: OAuthCredentials,
        *,
        fetch: Callable[[JsonObject], Token],
        monotonic: Callable[[], float],
    ) -> None:
        self._credentials = credentials
        self._fetch = fetch
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = 0.0

    def headers(self) -> dict[str, str]:
        """Give the token, without a prefix as Wix's own SDK sends it; fetch one first where there is none."""
        with self._lock:
            if not self._token or self._monotonic() >= self._good_until:
                self._renew()
            return {"authorization": self._token}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Forget the refused token, unless another thread has replaced it already."""
        with self._lock:
            if refused.get("authorization") == self._token:
                self._token = ""
        return True

    def secrets(self) -> tuple[str, ...]:
        """Give the app's secret and the present token."""
        return (self._credentials.app_secret.get_secret_value(), self._token)

    def _renew(self) -> None:
        # reckoned from before the call: the token's life starts at Wix
        asked_at = self._monotonic()
        token = self._fetch(
            {
                "grant_type": "client_credentials",
                "client_id": self._credentials.app_id,
                "client_secret": self._credentials.app_secret.get_secret_value(),
                "instance_id": self._credentials.instance_id,
            }
        )
        self._token = token.access_token
        self._good_until = asked_at + token.expires_in - min(RENEW_BEFORE, token.expires_in / 2)
