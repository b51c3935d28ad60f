"""Tracking links: a carrier's template filled in, and links of other origin checked before anyone sees them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from parcelhook.carrier import HOST_NAME, URL_CHARACTERS, Carrier
from parcelhook.errors import InvalidTrackingLink

MAX_LENGTH: Final = 2048
"""What Wix takes as ``trackingInfo.trackingLink`` (Order Fulfillments API, Create Fulfillment)."""

_MAX_HOST_LENGTH: Final = 253


def tracking_link(
    carrier: Carrier,
    number: str,
    *,
    postal_code: str | None = None,
    country: str | None = None,
    locale: str | None = None,
) -> str | None:
    """Build the link to a parcel's page out of the carrier's template, or None where the carrier has none.

    ``number`` is the tracking number as given; ``postal_code`` and ``country`` (ISO 3166, two letters) are the
    consignee's. Where the template wants one of them and it is missing, the landing page is given. ``locale``
    (``fr``, ``fr-CA``) picks one of the carrier's own locales: the same one, else one of the same language, else the
    first. The host is the template's, whatever the values hold. Raise InvalidTrackingLink where the number cannot
    stand in a link, or the link is longer than 2,048 characters.
    """
    for template in (carrier.link, carrier.landing_page):
        if template is None:
            continue
        page = _page(template, carrier.locales, locale)
        link = page.simple(number) if page.simple else _filled(page, number, postal_code, country)
        if link is not None:
            if len(link) > MAX_LENGTH:
                msg = f"the tracking link would be {len(link):,} characters long; {MAX_LENGTH:,} are allowed"
                raise InvalidTrackingLink(msg, field="tracking_number", what_to_do="Give the tracking number alone.")
            return link
    return None


def checked_link(
    url: str, *, carrier: Carrier | None, allow_loopback: bool = False, field: str = "tracking_url"
) -> str:
    """Give back a link of a hook, an operator or a caller, if it may be shown to a consignee.

    It is https on the default port, without user info, in ASCII, at most 2,048 characters, and leads to one of the
    carrier's hosts, where it has any. With ``allow_loopback``, http to this machine (any port) will do instead. Raise
    InvalidTrackingLink, which names ``field`` and never repeats more of the link than scheme and host, as the rest
    may hold a token.
    """
    parts = _split(url, field)
    if parts.scheme == "http" and allow_loopback and is_loopback(parts.hostname or ""):
        return url
    if parts.scheme != "https":
        raise _refused(field, f"begins with {parts.scheme or 'no scheme'}", "Give a link that begins with https://.")
    if parts.port not in {None, 443}:
        raise _refused(field, f"names a port of {parts.hostname}", "Give a link on the default port.")
    hosts = carrier.hosts if carrier else frozenset()
    if hosts and parts.hostname not in hosts:
        what = f"leads to {parts.hostname}, which is not a host of {carrier.name if carrier else ''}"
        raise _refused(field, what, f"Give a link to {' or '.join(sorted(hosts))}.")
    return url


_MISLEADING = re.compile(r"%[01][0-9A-Fa-f]|%7[Ff]|(?:^|/)(?:\.|%2[Ee]){2}(?:/|$)")


def _split(url: str, field: str) -> SplitResult:
    if len(url) > MAX_LENGTH:
        raise _refused(field, f"has {len(url):,} characters", f"Give a link of at most {MAX_LENGTH:,} characters.")
    # Browsers drop tabs, read a backslash as a slash and full-width dots as dots: what is shown is not what opens.
    if not URL_CHARACTERS.fullmatch(url):
        raise _refused(
            field,
            "holds a blank, a control character or another character no URL may hold",
            "Percent-encode it, and write an international host in its xn-- form.",
        )
    try:
        parts = urlsplit(url)
        readable = _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        readable = False
    if not readable:
        raise _refused(field, "has no readable host", "Give a complete link, like https://track.example.com/123.")
    if _MISLEADING.search(parts.path):
        raise _refused(field, "holds a step up (..) or an encoded control character", "Give the page's plain address.")
    if "@" in parts.netloc:
        raise _refused(field, "holds a user name before its host", "Give the link without user name and password.")
    return parts


def _is_host(host: str) -> bool:
    return len(host) <= _MAX_HOST_LENGTH and bool(
        HOST_NAME.fullmatch(host) or re.fullmatch(r"[0-9a-f:.]*:[0-9a-f:.]*", host)
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine: ``localhost`` in any case, 127.0.0.0/8 or ::1."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _refused(field: str, what: str, what_to_do: str) -> InvalidTrackingLink:
    return InvalidTrackingLink(f"{field}: the tracking link {what}", field=field, what_to_do=what_to_do)


class _Page(NamedTuple):
    """A template with its locale filled in: ``simple`` builds it from a number, ``fill`` from all that it ``wants``."""

    simple: Callable[[str], str] | None
    fill: Callable[..., str]
    wants: tuple[str, ...]


@lru_cache(maxsize=2048)
def _page(template: str, locales: tuple[str, ...], locale: str | None) -> _Page:
    if "{locale}" in template:
        template = template.replace("{locale}", quote(_closest(locales, locale), safe="/"))
    head, _, tail = template.partition("{number}")

    def simple(number: str) -> str:
        return f"{head}{_encoded(number)}{tail}"

    wants = tuple(name for name in ("postal_code", "country") if f"{{{name}}}" in template)
    return _Page(simple if template.count("{") == 1 and not wants else None, template.format, wants)


def _filled(page: _Page, number: str, postal_code: str | None, country: str | None) -> str | None:
    values = {"postal_code": "".join((postal_code or "").split()), "country": (country or "").strip().upper()}
    if not all(_says_something(values[name]) for name in page.wants):
        return None
    return page.fill(number=_encoded(number), **{name: _encoded(values[name], name) for name in page.wants})


def _says_something(value: str) -> bool:
    return any(character.isalnum() for character in value)


def _encoded(value: str, field: str = "tracking_number") -> str:
    if value.isascii() and value.isalnum():
        return value
    try:
        encoded = quote(value, safe="")
    except UnicodeEncodeError:
        encoded = ""
    # A path segment of dots alone would climb out of the page's folder, percent-encoded or not.
    if not encoded.strip("."):
        msg = f"{field}: this value cannot stand in a link"
        raise InvalidTrackingLink(msg, field=field, what_to_do="Give the value as the carrier printed it.")
    return encoded


def _closest(locales: tuple[str, ...], wanted: str | None) -> str:
    asked = (wanted or "").strip().replace("_", "-").lower()
    language, _, region = asked.partition("-")

    def closeness(locale: str) -> tuple[bool, bool, bool]:
        its_language, its_region = _language_and_region(locale)
        same_language = its_language == language
        return locale.replace("_", "-").lower() == asked, same_language and its_region == region, same_language

    return max(locales, key=closeness)


def _language_and_region(locale: str) -> tuple[str, str]:
    """Split a carrier's locale: ``en_GB``, ``en-GB`` begin with the language, ``ae/ar``, ``de-at`` end with it."""
    first, _, last = locale.replace("/", "-").replace("_", "-").partition("-")
    ends_with_language = "/" in locale or ("-" in locale and locale.islower())
    language, region = (last, first) if ends_with_language else (first, last)
    return language.lower(), region.lower()
