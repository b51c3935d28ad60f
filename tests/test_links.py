"""Tracking links lead to the carrier's own page, whatever the number, and foreign links are refused."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from parcelhook.carrier import Carrier
from parcelhook.errors import InvalidTrackingLink
from parcelhook.links import MAX_LENGTH, checked_link, tracking_link

URL_SAFE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-F]{2})+")
TEMPLATES = {
    "query": "https://track.acme.example/find?number={number}&submit=1",
    "path": "https://track.acme.example/parcel/{number}",
    "inner path": "https://track.acme.example/parcel/{number}/status",
    "fragment": "https://track.acme.example/track#/results/{number}",
}

# What a caller may pass: anything that is text, because names of numbers differ by carrier and hostile ones exist.
numbers = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda number: number.strip(".")
)


def acme(link: str | None = TEMPLATES["query"], **data: object) -> Carrier:
    """Make a carrier out of a template and what else a test is about."""
    return Carrier.model_validate({"id": "acme", "name": "Acme", "link": link, **data})


@pytest.mark.parametrize("place", TEMPLATES)
@given(number=numbers)
@example(number="1Z999AA10123456784")
@example(number="//evil.example/")
@example(number="../../admin")
@example(number="@evil.example")
@example(number="?a=b&c=d#e")
@example(number="\\evil.example")
@example(number="%2e%2e%2f")
@example(number="{number}{0}{country.__class__}")
@example(number="مرحبا 漢字")
def test_the_number_never_changes_the_shape_of_the_link(place: str, number: str) -> None:
    """Host, number of path segments, query keys and fragment are the template's, and the number reads back."""
    template = TEMPLATES[place]
    link = tracking_link(acme(template), number)

    assert link is not None
    assert URL_SAFE.fullmatch(link)
    parts, wanted = urlsplit(link), urlsplit(template)
    assert (parts.scheme, parts.netloc) == ("https", "track.acme.example")
    for part, whole in zip(parts[2:], wanted[2:], strict=True):
        assert re.fullmatch(re.escape(whole).replace(r"\{number\}", "[^/?#&=]+"), part)
        assert unquote(part) == whole.replace("{number}", number)


@given(number=numbers)
def test_a_link_is_accepted_by_its_own_check(number: str) -> None:
    """What the template gives passes the check that links of other origin must pass."""
    carrier = acme()
    link = tracking_link(carrier, number)

    assert link is not None
    assert checked_link(link, carrier=carrier) == link


@pytest.mark.parametrize("number", ["", ".", "..", "\ud800"])
def test_a_number_that_cannot_stand_in_a_path_is_refused(number: str) -> None:
    """Nothing, dots alone (they would climb a folder up) and half a character give an error, not a link."""
    with pytest.raises(InvalidTrackingLink) as caught:
        tracking_link(acme(TEMPLATES["path"]), number)

    assert caught.value.field == "tracking_number"
    assert caught.value.what_to_do


def test_the_number_stands_as_given() -> None:
    """Case, blanks and hyphens are kept: carriers read their own numbers."""
    assert tracking_link(acme(TEMPLATES["path"]), "ab 12-3/x") == "https://track.acme.example/parcel/ab%2012-3%2Fx"


def test_a_template_may_name_the_number_twice() -> None:
    """Every placeholder is filled in."""
    assert tracking_link(acme("https://a.example/{number}#{number}"), "7") == "https://a.example/7#7"


def test_the_postal_code_loses_its_blanks_and_the_country_is_upper_case() -> None:
    """A page that wants both gets them in the form carriers expect."""
    carrier = acme("https://a.example/?n={number}&p={postal_code}&c={country}")

    assert tracking_link(carrier, "1", postal_code=" 1234 ab", country=" nl ") == "https://a.example/?n=1&p=1234ab&c=NL"
    assert (
        tracking_link(carrier, "1", postal_code="&c=XX", country="n/l") == "https://a.example/?n=1&p=%26c%3DXX&c=N%2FL"
    )


@pytest.mark.parametrize("missing", [None, "", "  ", "..", "-"])
def test_a_missing_postal_code_gives_the_landing_page(missing: str | None) -> None:
    """The landing page may take the number too; without one there is no link."""
    link = "https://a.example/{number}/{postal_code}"

    assert tracking_link(acme(link, landing_page="https://a.example/?n={number}"), "1", postal_code=missing) == (
        "https://a.example/?n=1"
    )
    assert tracking_link(acme(link), "1", postal_code=missing) is None


def test_a_landing_page_can_miss_a_value_as_well() -> None:
    """A landing page that wants the country is no link without it."""
    carrier = acme(
        "https://a.example/{number}/{postal_code}/{country}", landing_page="https://a.example/{number}?c={country}"
    )

    assert tracking_link(carrier, "1", country="NL") == "https://a.example/1?c=NL"
    assert tracking_link(carrier, "1", postal_code="1234AB") is None


def test_a_landing_page_may_want_the_country_alone() -> None:
    """A page for each country takes no number, and the number is not added to it."""
    carrier = acme(None, landing_page="https://a.example/{country}/")

    assert tracking_link(carrier, "1", country="ca") == "https://a.example/CA/"
    assert tracking_link(carrier, "1") is None


def test_a_carrier_whose_page_takes_no_number_gives_that_page() -> None:
    """A landing page alone is the link; a carrier without any page has none."""
    assert tracking_link(acme(None, landing_page="https://a.example/track"), "1") == "https://a.example/track"
    assert tracking_link(acme(None), "1") is None


@pytest.mark.parametrize(
    ("locales", "asked", "given_locale"),
    [
        (("en", "fr"), None, "en"),
        (("en", "fr"), "fr", "fr"),
        (("en", "fr"), "FR-ca", "fr"),
        (("en", "fr"), "de", "en"),
        (("en", "fr"), "../../x", "en"),
        (("EN", "NL"), "nl_BE", "NL"),
        (("en_US", "de_DE", "en_GB"), "en-gb", "en_GB"),
        (("en_US", "de_DE", "en_GB"), "en", "en_US"),
        (("en_US", "ca_ES"), "ca", "ca_ES"),
        (("fr_CA", "en_CA"), "ca", "fr_CA"),
        (("es/es", "es/en"), None, "es/es"),
        (("es/es", "es/en"), "en", "es/en"),
        (("es/es", "es/en"), "es/en", "es/en"),
        (("us/en", "ae/ar"), "ar", "ae/ar"),
        (("us/en", "gb/en"), "en-GB", "gb/en"),
        (("global-en", "us-en", "de-de"), "en-US", "us-en"),
        (("global-en", "us-en", "de-de"), "de-AT", "de-de"),
        (("en-US", "fr-CA"), "fr", "fr-CA"),
        (("gb/en", "en_GB"), "en-GB", "en_GB"),
        (("ca", "es/ca"), "es-ES", "ca"),
    ],
)
def test_a_locale_picks_one_of_the_carriers_own(locales: tuple[str, ...], asked: str | None, given_locale: str) -> None:
    """The same locale is taken, else one of its language, else the first; a caller's text never gets into the link."""
    carrier = acme("https://a.example/{locale}/{number}", locales=locales)

    assert tracking_link(carrier, "1", locale=asked) == f"https://a.example/{given_locale}/1"


def test_a_link_is_at_most_as_long_as_wix_takes() -> None:
    """2,048 characters pass and one more is refused."""
    carrier = acme("https://a.example/{number}")
    room = MAX_LENGTH - len("https://a.example/")

    assert len(tracking_link(carrier, "7" * room) or "") == 2048
    with pytest.raises(InvalidTrackingLink, match="2,049 characters"):
        tracking_link(carrier, "7" * (room + 1))


@pytest.mark.parametrize(
    "link",
    [
        "https://www.fedex.com/fedextrack/?trknbr=1",
        "HTTPS://WWW.FEDEX.COM/",
        "https://www.fedex.com:443/x",
        "https://www.fedex.com",
        "https://www.fedex.com/#/a?b=@c",
        "https://api.fedex.com/t/%E2%9C%93",
    ],
)
def test_a_link_to_the_carriers_hosts_passes_unchanged(link: str) -> None:
    """The host of the template and those listed beside it will do, in any case, on the default port."""
    carrier = acme("https://www.fedex.com/?n={number}", link_hosts=["api.fedex.com"])

    assert checked_link(link, carrier=carrier) == link


@pytest.mark.parametrize(
    "link",
    [
        "https://www.fedex.com.evil.example/",
        "https://evil.example/www.fedex.com",
        "https://evil.example?https://www.fedex.com/",
        "https://evil.example#www.fedex.com",
        "https://www.fedex.com@evil.example",
        "https://user:secret@www.fedex.com/",
        "https://@www.fedex.com/",
        r"https://evil.example\@www.fedex.com",
        r"https://www.fedex.com\.evil.example/",
        "https://www.fedex.com./",
        "https://.www.fedex.com/",
        "https://fedex.com/",
        "https://a.www.fedex.com/",
        "https://www.fedex.com:8443/",
        "https://www.fedex.com:0/",
        "https://www.fedex.com:99999/",
        "https://www.fedex.com:x/",
        "https://www%2efedex.com/",
        "https://www.fedex.com%2f.evil.example/",
        "https://www\uff0efedex.com/",
        "https://www.fedex\u3002com/",
        "https://www.f\u0435dex.com/",
        "https://xn--fdex-8va.com/",
        "https://www.fedex.com/\u202egpj.exe",
        "https://www.fedex.com/a b",
        " https://www.fedex.com/",
        "https://www.fedex.com/\n",
        "https://www.fe\tdex.com/",
        "https://www.fedex.com/\x00",
        "https://www.fedex.com/%zz",
        'https://www.fedex.com/"onclick="x',
        "https:///www.fedex.com/",
        "https:/www.fedex.com/",
        "https:www.fedex.com",
        "https://",
        "https://[::1/",
        "https://[www.fedex.com]/",
        "//www.fedex.com/",
        "www.fedex.com",
        "http://www.fedex.com/",
        "ftp://www.fedex.com/",
        "javascript:alert(1)",
        "javascript://www.fedex.com/%0aalert(1)",
        "data:text/html,x",
        "",
        "https://www.fedex.com/" + "x" * 2048,
    ],
)
@pytest.mark.parametrize("allow_loopback", [False, True])
def test_a_lookalike_is_refused(link: str, allow_loopback: bool) -> None:  # noqa: FBT001 - a case of the table
    """Nothing that a browser or a person could read as another address passes, and the error says what to do."""
    with pytest.raises(InvalidTrackingLink) as caught:
        checked_link(
            link, carrier=acme("https://www.fedex.com/?n={number}"), allow_loopback=allow_loopback, field="--url"
        )

    assert caught.value.field == "--url"
    assert str(caught.value).startswith("--url: ")
    assert caught.value.what_to_do.startswith(("Give", "Percent-encode"))


def test_an_error_never_repeats_more_than_scheme_and_host() -> None:
    """Path, query and password may be secret, so they stay out of the message."""
    for link in (
        "https://evil.example/token-123?k=token-123#token-123",
        "https://bob:token-123@www.fedex.com/",
        "https://www.fedex.com:8443/token-123",
        "http://www.fedex.com/token-123",
        "https://www.fedex.com/token-123 x",
        "https://[token-123/",
    ):
        with pytest.raises(InvalidTrackingLink) as caught:
            checked_link(link, carrier=acme("https://www.fedex.com/?n={number}"))

        assert "token-123" not in f"{caught.value} {caught.value.what_to_do}"


def test_a_foreign_host_is_answered_with_the_right_ones() -> None:
    """The error names the host it met and those that would do."""
    carrier = acme("https://www.acme.example/{number}", link_hosts=["Track.Acme.example"])

    with pytest.raises(InvalidTrackingLink, match=r"leads to evil\.example, which is not a host of Acme") as caught:
        checked_link("https://evil.example/", carrier=carrier)
    assert caught.value.what_to_do == "Give a link to track.acme.example or www.acme.example."


@pytest.mark.parametrize("carrier", [None, acme(None)])
def test_without_known_hosts_a_link_must_only_be_safe(carrier: Carrier | None) -> None:
    """An operator's link for a carrier without a template may lead anywhere over https, never elsewhere."""
    assert checked_link("https://small.example/t/1", carrier=carrier) == "https://small.example/t/1"
    assert checked_link("https://[2001:db8::1]/t/1", carrier=carrier) == "https://[2001:db8::1]/t/1"
    for link in ("http://small.example/", "https://a@small.example/", "https://small.example:8443/"):
        with pytest.raises(InvalidTrackingLink):
            checked_link(link, carrier=carrier)


def test_a_link_and_its_host_have_a_greatest_length() -> None:
    """2,048 characters for the link, 253 for its host, 63 for each of the host's labels; one more is refused."""
    link = "https://small.example/"
    host = ".".join(["a" * 63] * 3 + ["b" * 61])

    assert checked_link(link.ljust(2048, "x"), carrier=None) == link.ljust(2048, "x")
    assert checked_link(f"https://{host}/", carrier=None) == f"https://{host}/"
    for longer in (link.ljust(2049, "x"), f"https://{host}b/", f"https://{'a' * 64}.example/"):
        with pytest.raises(InvalidTrackingLink):
            checked_link(longer, carrier=None)


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:8080/t/1", "http://127.9.9.9/t", "http://localhost:1/", "http://[::1]:5000/t"]
)
def test_http_to_this_machine_passes_only_where_allowed(link: str) -> None:
    """The sandbox's links pass for a store on loopback, whatever the carrier's hosts are, and for no other store."""
    assert checked_link(link, carrier=acme(), allow_loopback=True) == link
    with pytest.raises(InvalidTrackingLink, match="begins with http"):
        checked_link(link, carrier=acme())


@pytest.mark.parametrize(
    "link",
    [
        "http://128.0.0.1/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "http://10.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://a@127.0.0.1/",
        "http://[::2]/",
        "ws://127.0.0.1/",
        "https://127.0.0.1/",
    ],
)
def test_what_is_not_this_machine_stays_refused(link: str) -> None:
    """Allowing loopback allows nothing else."""
    with pytest.raises(InvalidTrackingLink):
        checked_link(link, carrier=acme(), allow_loopback=True)


@given(url=st.text(max_size=80) | st.text("https:/@\\.#?[]%x:", max_size=30).map("https://track.acme.example".__add__))
def test_any_text_is_either_safe_or_refused(url: str) -> None:
    """The check never fails in another way, and what passes leads to the carrier."""
    try:
        link = checked_link(url, carrier=acme())
    except InvalidTrackingLink:
        return

    assert URL_SAFE.fullmatch(quote(link, safe="%:/?#[]@!$&'()*+,;="))
    assert urlsplit(link).hostname == "track.acme.example"


@pytest.mark.parametrize(
    "data",
    [
        {"link": "http://a.example/{number}"},
        {"link": "https://a.example/"},
        {"link": "https://{number}.a.example/"},
        {"link": "https://a.example:{number}/"},
        {"link": "https://a.example:8443/{number}"},
        {"link": "https://a.example./{number}"},
        {"link": "https://user@a.example/{number}"},
        {"link": r"https://evil.example\.a.example/{number}"},
        {"link": "https://a.example/a b/{number}"},
        {"link": "https://a.ex\tample/{number}"},
        {"link": "https://\u0430.example/{number}"},
        {"link": "https://a.example/{number!r}"},
        {"link": "https://a.example/{number:9}"},
        {"link": "https://a.example/{number.__class__}"},
        {"link": "https://a.example/{token}/{number}"},
        {"link": "https://a.example/{{}}/{number}"},
        {"link": "https://a.example/{number"},
        {"link": "https://a.example/{locale}/{number}"},
        {"landing_page": "javascript:alert(1)"},
        {"link_hosts": ["https://a.example"]},
        {"link_hosts": ["a.example:8443"]},
    ],
)
def test_a_template_is_proved_when_the_carrier_is_loaded(data: dict[str, object]) -> None:
    """A template that could lead elsewhere, or cannot be filled in, is no carrier."""
    with pytest.raises(ValidationError):
        Carrier.model_validate({"id": "acme", "name": "Acme", **data})


@pytest.mark.parametrize("path", ["../x", "a/../b", "%2e%2E/x", "a/..", "%00", "x%0d%0ay", "%7f", "a%1Bb"])
def test_a_path_that_misleads_is_refused(path: str) -> None:
    """A step up, or an encoded control character, is in no carrier's link."""
    with pytest.raises(InvalidTrackingLink, match=r"step up|control"):
        checked_link(f"https://track.example.com/{path}", carrier=None)


@pytest.mark.parametrize("path", ["a..b", "...", "x?next=%2F", "%20", "parcel/1.2"])
def test_a_path_that_only_looks_odd_is_taken(path: str) -> None:
    """Dots inside a name, and encoded printable characters, are fine."""
    url = f"https://track.example.com/{path}"

    assert checked_link(url, carrier=None) == url
