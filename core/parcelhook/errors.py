"""Every error parcelhook raises, as one tree.

ParcelhookError                     exit 1   something inside parcelhook went wrong
├── InputError                      exit 2   what was typed, sent or read is wrong; says which field
│   ├── InvalidTrackingNumber                a number that no carrier can have given
│   ├── InvalidTrackingLink                  a link that must not be shown to a consignee
│   ├── InvalidWebhook                       not signed by Wix for this app, too old, or not what Wix sends
│   ├── UnknownCarrier                       no plug-in serves this carrier id
│   ├── NotFulfillable                       the order, its items or quantities cannot be shipped as asked
│   ├── KeyReused                            an idempotency key came again with another body
│   └── WrongState                           the shipment's state does not allow what was asked
├── ConfigurationError              exit 6   the installation is set up wrongly; says where
│   ├── InvalidCarrier                       a carrier definition with a mistake; says file and line
│   │   └── UnsupportedApi                   a carrier definition for another version of the hooks
│   ├── PluginError                          a plug-in that cannot be used; says which and why
│   └── LedgerError                          the ledger cannot be opened or written
├── WixError                        exit 4   Wix answered with an error, or did not answer
│   ├── WixUnauthorized                      401: the token or key was refused, even after a new one
│   ├── WixForbidden                         403: the app lacks a permission, or Wix slows us down
│   ├── WixNotFound                          404: no such order or fulfillment
│   ├── WixInvalidRequest                    400, 428: Wix refused the request; names the fields
│   ├── WixConflict                          409: it exists already, or another state is in the way
│   │   └── TrackingNumberExists             409: the number is on a fulfillment already
│   ├── WixRateLimited                       429: over the site's calls a minute; nothing happened
│   ├── WixUnavailable                       5xx: a fault at Wix; a write may have happened
│   ├── WixUnreachable                       no connection was opened; nothing happened
│   ├── WixNoAnswer                          the connection broke or time ran out; a write may have happened
│   └── WixUnreadable                        2xx with a body that cannot be read; a write may have happened
├── ShipmentChanged                 exit 4   another process moved the shipment since it was read
├── Undecided                       exit 4   a write to Wix has no known outcome yet
└── CarrierError                    exit 5   a carrier, or its plug-in, did not give what was asked
    ├── CarrierRefused                       the carrier refused the request; asking again will not help
    │   └── CarrierUnauthorized              the carrier refused our credentials
    ├── CarrierThrottled                     too many calls; says when to ask again
    ├── CarrierUnavailable                   no answer, an answer too late, or a fault at the carrier
    ├── CarrierUnreadable                    an answer that does not have the documented shape
    └── HookFailed                           the plug-in itself raised, hung, or returned rubbish
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class ParcelhookError(Exception):
    """The root of the tree; ``message`` says what is wrong and ``what_to_do`` what helps.

    ``exit_code`` is what the command line ends with. ``retryable`` tells whether the same call
    can succeed later without anything being changed.
    """

    exit_code: ClassVar[int] = 1
    retryable: bool = False

    def __init__(self, message: str, *, what_to_do: str = "", retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.what_to_do = what_to_do
        if retryable is not None:
            self.retryable = retryable


class InputError(ParcelhookError):
    """Report a wrong value; ``field`` names it as the user knows it (``--number``, ``line 7: quantity``)."""

    exit_code = 2

    def __init__(self, message: str, *, field: str = "", what_to_do: str = "") -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.field = field


class InvalidTrackingNumber(InputError):
    """Report a number that is empty, too long, or holds characters no tracking number has."""


class InvalidTrackingLink(InputError):
    """Report a link that is not https, leads to a foreign host, or could mislead the one who clicks it."""


class InvalidWebhook(InputError):
    """Report a webhook whose signature, age or shape is not Wix's; the message holds nothing of it."""


class UnknownCarrier(InputError):
    """Report a carrier id that no active plug-in serves; ``what_to_do`` names the nearest one."""


class NotFulfillable(InputError):
    """Report an order, line item or quantity that cannot be shipped as asked."""


class KeyReused(InputError):
    """Report an idempotency key that came again with another body; ``field`` is ``key``."""


class WrongState(InputError):
    """Report a move that the shipment's state does not allow; the message names both states."""


class ConfigurationError(ParcelhookError):
    """Report a setting that is missing or wrong; ``where`` names the file, line or environment variable."""

    exit_code = 6

    def __init__(self, message: str, *, where: str = "", what_to_do: str = "") -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.where = where


class InvalidCarrier(ConfigurationError):
    """Report a mistake in a carrier definition; ``where`` is ``file:line``."""


class UnsupportedApi(InvalidCarrier):
    """Report a carrier definition written for a version of the hooks that this parcelhook does not understand."""


class PluginError(ConfigurationError):
    """Report a plug-in that cannot be used; ``where`` is its name and distribution."""


class LedgerError(ConfigurationError):
    """Report a ledger that is missing, read-only, full, locked or of a newer version."""


class WixError(ParcelhookError):
    """Report a call to Wix that did not succeed.

    ``status`` is the HTTP status, or None without an answer. ``request_id`` is Wix's ``x-wix-request-id``, to be quoted
    to its support. ``code`` is the application error's code, or "". ``fields`` names the violated fields.
    ``ambiguous`` tells that a write may have happened all the same.
    """

    exit_code = 4
    ambiguous: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        operation: str,
        status: int | None = None,
        request_id: str = "",
        code: str = "",
        fields: Sequence[str] = (),
        retry_after: float | None = None,
        what_to_do: str = "",
    ) -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.operation = operation
        self.status = status
        self.request_id = request_id
        self.code = code
        self.fields = tuple(fields)
        self.retry_after = retry_after


class WixUnauthorized(WixError):
    """Report that Wix refused the token or key (401), also after it was renewed once."""


class WixForbidden(WixError):
    """Report that the app or key lacks a permission (403)."""


class WixNotFound(WixError):
    """Report that the order or fulfillment does not exist in this store (404)."""


class WixInvalidRequest(WixError):
    """Report that Wix refused the request as invalid (400, 428); ``fields`` names what it refused."""


class WixConflict(WixError):
    """Report that something in the store is in the way (409)."""


class TrackingNumberExists(WixConflict):
    """Report that the tracking number is on a fulfillment already (409 TRACKING_NUMBER_ALREADY_EXISTS)."""


class WixRateLimited(WixError):
    """Report too many calls a minute (429); nothing happened and ``retry_after`` seconds help."""

    retryable = True


class WixUnavailable(WixError):
    """Report a fault at Wix (5xx); a write may have happened."""

    retryable = True
    ambiguous = True


class WixUnreachable(WixError):
    """Report that no connection to Wix could be opened; nothing happened."""

    retryable = True


class WixNoAnswer(WixError):
    """Report that the connection broke or time ran out after the request was sent; a write may have happened."""

    retryable = True
    ambiguous = True


class WixUnreadable(WixError):
    """Report a successful status with a body that is no JSON or lacks what the contract promises."""

    retryable = True
    ambiguous = True


class ShipmentChanged(ParcelhookError):
    """Report that another process moved the shipment since it was read; read it again."""

    exit_code = 4
    retryable = True


class Undecided(ParcelhookError):
    """Report a write whose outcome is unknown until the settle time has passed."""

    exit_code = 4
    retryable = True


class CarrierError(ParcelhookError):
    """Report a carrier, or its plug-in, that did not give what was asked; ``operation`` is a hook's or call's name."""

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        carrier: str,
        operation: str = "",
        code: str = "",
        retry_after: float | None = None,
        what_to_do: str = "",
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, what_to_do=what_to_do, retryable=retryable)
        self.carrier = carrier
        self.operation = operation
        self.code = code
        self.retry_after = retry_after


class CarrierRefused(CarrierError):
    """Report that the carrier refused the request; asking again unchanged will not help."""


class CarrierUnauthorized(CarrierRefused):
    """Report that the carrier refused our credentials."""


class CarrierThrottled(CarrierError):
    """Report that the carrier's quota is used up; ``retry_after`` seconds help."""

    retryable = True


class CarrierUnavailable(CarrierError):
    """Report no answer, an answer too late, or a fault at the carrier."""

    retryable = True


class CarrierUnreadable(CarrierError):
    """Report an answer that does not have the shape the carrier documents."""


class HookFailed(CarrierError):
    """Report a plug-in that raised, hung, or returned something other than its hook promises."""
