"""One call to Wix from gate to result: authorised, counted, tried again where that is safe."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from parcelhook.errors import (
    WixConflict,
    WixError,
    WixForbidden,
    WixInvalidRequest,
    WixNoAnswer,
    WixNotFound,
    WixRateLimited,
    WixUnauthorized,
    WixUnavailable,
    WixUnreachable,
    WixUnreadable,
)
from parcelhook.wix.auth import ApiKey, KeySigner, OAuthCredentials, Signer, Token, TokenSigner
from parcelhook.wix.gate import CallGate
from parcelhook.wix.refusals import read_object
from parcelhook.wix.transport import Answer, HttpLine
from parcelhook.wix.wire import JsonObject, places

ResultT = TypeVar("ResultT")

_UNDECIDED = (WixNoAnswer, WixUnavailable, WixUnreadable)
_WORTH_ANOTHER_TRY = (WixUnreachable, *_UNDECIDED)


@dataclass(frozen=True)
class Call:
    """What is asked of Wix; a ``safe`` call changes nothing there and may be tried again."""

    operation: str
    method: str
    path: str
    order_ids: tuple[str, ...] = ()
    body: JsonObject | None = None
    safe: bool = False


@dataclass(frozen=True)
class Patience:
    """How long a call is pursued.

    ``pauses`` are the seconds between the attempts of a safe call. A throttled call of any kind is sent again up to
    ``throttle_waits`` times and no later than ``throttle_limit`` seconds, each time after the seconds Wix names or else
    ``throttle_pause``.
    """

    pauses: tuple[float, ...] = (0.3, 1.5)
    throttle_waits: int = 3
    throttle_limit: float = 300.0
    throttle_pause: float = 60.0


class Exchange:
    """Everything around a call that is the same for all operations."""

    def __init__(
        self,
        line: HttpLine,
        *,
        credentials: OAuthCredentials | ApiKey,
        gate: CallGate,
        patience: Patience,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._line = line
        self._gate = gate
        self._patience = patience
        self._sleep = sleep
        self._consistent = ""
        self._signer: Signer = (
            KeySigner(credentials)
            if isinstance(credentials, ApiKey)
            else TokenSigner(credentials, fetch=self._fetch_token, monotonic=monotonic)
        )

    def ask(self, call: Call, read: Callable[[JsonObject], ResultT]) -> ResultT:
        """Make a call and read its answer; raise a WixError once all that is safe was tried."""
        return self._persistent(call, lambda: self._authorised(call, read))

    def _persistent(self, call: Call, attempt: Callable[[], ResultT]) -> ResultT:
        for pause in self._patience.pauses if call.safe else ():
            try:
                return attempt()
            except _WORTH_ANOTHER_TRY as error:
                if error.operation != call.operation:
                    # the token call inside has had its own attempts
                    raise
                self._sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads retries, hides nothing
        return attempt()

    def _authorised(self, call: Call, read: Callable[[JsonObject], ResultT]) -> ResultT:
        headers = self._signer.headers()
        try:
            return self._unthrottled(call, headers, read)
        except WixUnauthorized:
            if not self._signer.renew(headers):
                raise
        return self._unthrottled(call, self._signer.headers(), read)

    def _unthrottled(self, call: Call, headers: dict[str, str], read: Callable[[JsonObject], ResultT]) -> ResultT:
        waited = 0.0
        for _ in range(self._patience.throttle_waits):
            try:
                return self._once(call, headers, read)
            except WixRateLimited as error:
                waited += error.retry_after or 0.0
                if waited > self._patience.throttle_limit:
                    raise
        return self._once(call, headers, read)

    def _once(self, call: Call, headers: dict[str, str], read: Callable[[JsonObject], ResultT]) -> ResultT:
        call_id = self._gate.before(call.operation, call.method, call.path, call.order_ids)
        try:
            answer = self._send(call, headers)
            result = self._result(call, answer, read)
        except WixError as error:
            self._gate.after(call_id, status=error.status, request_id=error.request_id, outcome=type(error).__name__)
            if isinstance(error, WixRateLimited):
                if error.retry_after is None:
                    error.retry_after = self._patience.throttle_pause
                self._gate.throttled(error.retry_after)
            raise
        self._gate.after(call_id, status=answer.status, request_id=answer.request_id, outcome="ok")
        return result

    def _send(self, call: Call, headers: dict[str, str]) -> Answer:
        """Send with the consistency token of the last answer that had one: Wix's SDK does so to read its own writes."""
        if self._consistent:
            headers = {**headers, "x-wix-consistent": self._consistent}
        answer = self._line.send(call.operation, call.method, call.path, json=call.body, headers=headers)
        told = answer.headers.get("x-wix-consistent", "")
        if told and told.isascii():
            self._consistent = told
        return answer

    def _result(self, call: Call, answer: Answer, read: Callable[[JsonObject], ResultT]) -> ResultT:
        data = read_object(answer, operation=call.operation, secrets=self._signer.secrets())
        try:
            return read(data)
        except ValueError as error:
            what = places(error) if isinstance(error, ValidationError) else str(error)
            msg = f"{call.operation}: Wix's answer lacks what its contract promises: {what}"
        # outside of the handler: the error holds the answer, which may be an order
        raise WixUnreadable(
            msg,
            operation=call.operation,
            status=answer.status,
            request_id=answer.request_id,
            what_to_do="Quote the request id to Wix's support if it lasts.",
        )

    def _fetch_token(self, body: JsonObject) -> Token:
        """Fetch a token; whatever becomes of this call, the one that needs the token was not sent."""
        call = Call("token", "POST", "/oauth2/token", body=body, safe=True)
        try:
            return self._persistent(call, lambda: self._unthrottled(call, {}, Token.model_validate))
        except _UNDECIDED as error:
            msg = f"{error.message}; nothing else was sent"
            raise _as(WixUnreachable, error, msg) from error
        except (WixUnauthorized, WixInvalidRequest, WixForbidden, WixNotFound, WixConflict) as error:
            raise _as(WixUnauthorized, error, error.message) from error


_REFUSED_APP = "Check the app's id, secret and instance id, and that the app is installed on this site."


def _as(kind: type[WixError], error: WixError, message: str) -> WixError:
    return kind(
        message,
        operation=error.operation,
        status=error.status,
        request_id=error.request_id,
        code=error.code,
        fields=error.fields,
        what_to_do=_REFUSED_APP if kind is WixUnauthorized else error.what_to_do,
    )
