"""The sandbox's tokens, API key and rate limit keep to the contract."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from parcelhook.sandbox import Running, SandboxSettings, running
from sandbox_client import FULFILLMENTS, Json, Wix, code_of, ok


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve one sandbox for this file."""
    with running(SandboxSettings(rate_limit=0)) as sandbox:
        yield sandbox


@pytest.fixture
def wix(sandbox: Running) -> Iterator[Wix]:
    """Call it."""
    with Wix(sandbox) as wix:
        yield wix


def test_a_token_lasts_four_hours(wix: Wix) -> None:
    """Client credentials give a bearer token for 14400 seconds, and each time another."""
    one, other = ok(wix.token()), ok(wix.token())

    assert (one["token_type"], one["expires_in"]) == ("Bearer", 14_400)
    assert set(one) == {"access_token", "token_type", "expires_in"}
    assert one["access_token"] != other["access_token"]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_id": "x"}, 401, "invalid_client"),
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"client_secret": "ü"}, 401, "invalid_client"),
        ({"instance_id": "x"}, 401, "invalid_grant"),
        ({"instance_id": None}, 400, "invalid_request"),
        ({"client_secret": 5}, 400, "invalid_request"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
    ],
)
def test_tokens_are_refused_in_the_style_of_the_ietf(wix: Wix, changes: Json, status: int, error: str) -> None:
    """An unknown client, secret or instance is refused with error and error_description."""
    answer = wix.token(**changes)

    assert answer.status_code == status
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]


def test_a_form_is_no_token_request(wix: Wix) -> None:
    """The token endpoint reads JSON alone."""
    answer = wix.http.post("/oauth2/token", data={"grant_type": "client_credentials"})

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}"])
def test_bare_and_bearer_tokens_are_accepted(wix: Wix, form: str) -> None:
    """The SDK sends the bare token, Wix's recipes send Bearer: both work."""
    authorization = form.format(wix.http.headers["authorization"])

    answer = wix.http.get(f"{FULFILLMENTS}/orders/{wix.order()}", headers={"authorization": authorization})

    assert answer.status_code == 200


@pytest.mark.parametrize("authorization", ["", "x", "Bearer x", "Bearer"])
def test_unknown_tokens_are_refused(wix: Wix, authorization: str) -> None:
    """Without a token of ours every endpoint answers 401 with a message, and nothing happens."""
    order = wix.order()
    headers = {"authorization": authorization}
    answers = [
        wix.http.post(f"{FULFILLMENTS}/orders/{order}/create-fulfillment", json={}, headers=headers),
        wix.http.get(f"/ecom/v1/orders/{order}", headers=headers),
        wix.http.post("/ecom/v1/orders/search", json={}, headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [401] * 3
    assert all(answer.json()["message"] for answer in answers)


def test_revoked_tokens_are_expired(wix: Wix) -> None:
    """A token that the control revoked is refused, a new one is accepted."""
    order = wix.order()
    wix.control("POST", "tokens/revoke")

    refused = wix.http.get(f"/ecom/v1/orders/{order}")
    wix.http.headers["authorization"] = ok(wix.token())["access_token"]

    assert refused.status_code == 401
    assert wix.get_order(order)["id"] == order


def test_tokens_expire() -> None:
    """A token is refused after its seconds are over."""
    with running(SandboxSettings(token_seconds=0)) as sandbox, Wix(sandbox) as wix:
        assert wix.http.get("/ecom/v1/orders/x").status_code == 401


def api_key(wix: Wix, **headers: str) -> httpx.Response:
    """Call with the API key."""
    return httpx.get(
        f"{wix.ready['url']}/ecom/v1/orders/unknown", headers={"authorization": str(wix.ready["api_key"])} | headers
    )


def test_an_api_key_needs_its_site(wix: Wix) -> None:
    """The raw key with its site id is admitted; without, with another, or with an account id it is not."""
    site = str(wix.ready["site_id"])
    answers = [
        api_key(wix, **{"wix-site-id": site}),
        api_key(wix),
        api_key(wix, **{"wix-site-id": "other"}),
        api_key(wix, **{"wix-site-id": site, "wix-account-id": "a"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 400, 403, 400]


def test_calls_over_the_limit_are_refused(wix: Wix) -> None:
    """The call that exceeds the limit is a 429 and changes nothing; tokens are not counted, reads are."""
    order = wix.order()
    wix.control("POST", "rate-limit", {"per_minute": 2})
    spent = [wix.http.get(f"/ecom/v1/orders/{order}").status_code for _ in range(3)]
    refused = wix.create(order)
    wix.control("POST", "rate-limit", {"per_minute": 0})

    assert spent == [200, 200, 429]
    assert refused.status_code == 429
    assert code_of(refused) == "RESOURCE_EXHAUSTED"
    assert "retry-after" not in refused.headers
    assert wix.token().status_code == 200
    assert wix.list(order) == []


def test_the_window_slides() -> None:
    """Calls are counted in a window of time: when it has passed, the next are let through."""
    settings = SandboxSettings(rate_limit=1, rate_window=0.2)
    with running(settings) as sandbox, Wix(sandbox) as wix:
        statuses = [wix.http.get("/ecom/v1/orders/x").status_code]
        while statuses[-1] != 404 or 429 not in statuses:
            statuses.append(wix.http.get("/ecom/v1/orders/x").status_code)

    assert statuses[:2] == [404, 429]


def test_200_a_minute_by_default() -> None:
    """The limit is Wix's unless another is given."""
    assert (SandboxSettings().rate_limit, SandboxSettings().rate_window) == (200, 60.0)


def test_secrets_do_not_show() -> None:
    """A settings object does not print its secrets."""
    settings = SandboxSettings()

    assert settings.app_id in repr(settings)
    assert not [
        secret for secret in (settings.app_secret, settings.api_key, settings.courier_key) if secret in repr(settings)
    ]
