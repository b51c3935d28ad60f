"""Settings: where they come from, which one wins, and what is said about a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook.errors import ConfigurationError, InputError
from parcelhook.links import is_loopback
from parcelhook.settings import Rule, Settings, Store

SECRET = "s3cret-value-4711"
APP = {
    "PARCELHOOK_WIX_APP_ID": "app-1",
    "PARCELHOOK_WIX_APP_SECRET": SECRET,
    "PARCELHOOK_WIX_INSTANCE_ID": "instance-1",
}
KEY = {"PARCELHOOK_WIX_API_KEY": SECRET, "PARCELHOOK_WIX_SITE_ID": "site-1"}
TWO_STORES = """
[stores.north]
api_key = "k1"
site_id = "s1"

[stores.south-shop]
api_key = "k2"
site_id = "s2"
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def load(text: str = "", **environment: str) -> Settings:
    """Load a file of this text with these variables and no others."""
    if text:
        Path("parcelhook.toml").write_text(text, encoding="utf-8")
    return Settings.load(environment=environment)


def test_nothing_configured_gives_the_defaults() -> None:
    """Without file and variables there is no store, a SQLite ledger and a settle time of a minute."""
    settings = load()

    assert settings.stores == {}
    assert settings.database_url == "sqlite:///parcelhook.sqlite"
    assert settings.settle_seconds == 60
    assert settings.carriers_folder == Path("carriers")


def test_a_store_by_environment_alone_is_called_default() -> None:
    """The variables of one store make a store named default."""
    settings = load(**APP, PARCELHOOK_WIX_PUBLIC_KEY="pem", PARCELHOOK_WIX_URL="http://127.0.0.1:8090/")

    store = settings.store()
    assert settings.store_name() == "default"
    assert (store.app_id, store.instance_id, store.public_key) == ("app-1", "instance-1", "pem")
    assert store.app_secret.get_secret_value() == SECRET
    assert (store.wix_url, store.is_loopback, store.uses_api_key) == ("http://127.0.0.1:8090", True, False)


def test_a_store_by_api_key() -> None:
    """An API key with its site id are credentials of their own kind."""
    store = load(**KEY, PARCELHOOK_TOKEN="bearer").store("default")

    assert store.uses_api_key
    assert store.api_key.get_secret_value() == SECRET
    assert store.token.get_secret_value() == "bearer"
    assert (store.rate_limit, store.ship_unpaid, store.wix_url) == (200, False, "https://www.wixapis.com")


def test_the_environment_overrides_the_only_store_of_the_file() -> None:
    """A file with one store and a variable for one store speak of the same store."""
    settings = load('[stores.main]\nsite_id = "s1"\nrate_limit = 50\n', PARCELHOOK_WIX_API_KEY=SECRET)

    assert list(settings.stores) == ["main"]
    assert settings.store().rate_limit == 50
    assert settings.store().api_key.get_secret_value() == SECRET


def test_a_variable_names_one_of_several_stores() -> None:
    """PARCELHOOK_STORES__NAME__KEY reaches a store of the file, in the file's spelling."""
    settings = load(TWO_STORES, PARCELHOOK_STORES__SOUTH_SHOP__RATE_LIMIT="7")

    assert settings.store("south-shop").rate_limit == 7
    assert settings.store("north").rate_limit == 200


def test_a_store_shares_an_app() -> None:
    """A store that names an app has the app's id, secret and public key."""
    settings = load(
        '[apps.ours]\napp_id = "a"\npublic_key = "pem"\n[stores.x]\napp = "ours"\ninstance_id = "i"\n',
        PARCELHOOK_APPS__OURS__APP_SECRET=SECRET,
    )

    store = settings.store()
    assert (store.app_id, store.app_secret.get_secret_value(), store.public_key) == ("a", SECRET, "pem")


@pytest.mark.parametrize(
    ("variable", "carrier", "key"),
    [
        ("PARCELHOOK_CARRIERS__FEDEX__CLIENT_ID", "fedex", "client_id"),
        ("PARCELHOOK_CARRIERS__CANADA_POST__CUSTOMER_NUMBER", "canada-post", "customer_number"),
    ],
)
def test_a_carriers_setting_by_environment(variable: str, carrier: str, key: str) -> None:
    """A carrier's id is written with an underscore for a hyphen."""
    assert load(**{variable: "v"}).carrier(carrier) == {key: "v"}


def test_a_stores_own_account_is_laid_over_the_common_one() -> None:
    """A store with an account of its own at a carrier uses it, and the common settings beside it."""
    settings = load(
        TWO_STORES
        + '[carriers.fedex]\nclient_id = "common"\nregion = "US"\n[stores.north.carriers.fedex]\nclient_id = "own"\n',
        PARCELHOOK_STORES__NORTH__CARRIERS__FEDEX__CLIENT_SECRET=SECRET,
    )

    assert settings.carrier("fedex") == {"client_id": "common", "region": "US"}
    assert settings.carrier("fedex", store="north") == {"client_id": "own", "region": "US", "client_secret": SECRET}
    assert settings.carrier("fedex", store="south-shop") == {"client_id": "common", "region": "US"}


@pytest.mark.parametrize(
    "variable", ["PARCELHOOK_WIX_API_KEY", "PARCELHOOK_TOKEN", "PARCELHOOK_DATABASE_URL", "PARCELHOOK_SETTLE_SECONDS"]
)
def test_every_variable_may_name_a_file(tmp_path: Path, variable: str) -> None:
    """With _FILE the value is the file's content without its last line end."""
    values = {"PARCELHOOK_DATABASE_URL": "sqlite:///other.sqlite", "PARCELHOOK_SETTLE_SECONDS": "5"}
    value = values.get(variable, SECRET)
    path = tmp_path / "value"
    path.write_text(value + "\n", encoding="utf-8")

    settings = load(**{**KEY, variable: ""}, **{f"{variable}_FILE": str(path)})

    found = [settings.database_url, str(int(settings.settle_seconds))]
    found += [settings.store().api_key.get_secret_value(), settings.store().token.get_secret_value()]
    assert value in found


def test_rules_keep_their_order() -> None:
    """Rules are read in order; one country may stand without a list, no condition matches all."""
    settings = load(
        '[[rules]]\ncountry = ["CA"]\nshipping_method = "Express*"\nmax_weight_kg = 5\ncarrier = "canada-post"\n'
        '[[rules]]\ncountry = "US"\ncarrier = "ups"\n[[rules]]\ncarrier = "dhl"\n'
    )

    assert settings.rules == (
        Rule(carrier="canada-post", country=("CA",), shipping_method="Express*", max_weight_kg=5),
        Rule(carrier="ups", country=("US",)),
        Rule(carrier="dhl"),
    )


def test_a_stores_own_rules_go_before_those_of_all() -> None:
    """A store with rules of its own asks them first, then the common ones; another store asks the common ones alone."""
    settings = load(
        TWO_STORES + '[[rules]]\ncarrier = "dhl"\n[[stores.north.rules]]\ncountry = "CA"\ncarrier = "canada-post"\n'
    )

    assert settings.rules_of("north") == (Rule(carrier="canada-post", country=("CA",)), Rule(carrier="dhl"))
    assert settings.rules_of("south-shop") == (Rule(carrier="dhl"),)


def test_the_file_is_named_by_argument_or_variable(tmp_path: Path) -> None:
    """An argument wins over PARCELHOOK_CONFIG, which wins over parcelhook.toml."""
    (tmp_path / "parcelhook.toml").write_text("settle_seconds = 1", encoding="utf-8")
    (tmp_path / "b.toml").write_text("settle_seconds = 2", encoding="utf-8")
    (tmp_path / "c.toml").write_text("settle_seconds = 3", encoding="utf-8")
    environment = {"PARCELHOOK_CONFIG": "b.toml"}

    assert Settings.load(environment={}).settle_seconds == 1
    assert Settings.load(environment=environment).settle_seconds == 2
    assert Settings.load(Path("c.toml"), environment=environment).settle_seconds == 3


MISTAKES = [
    ("[stores.x]\napi_key = 's'\nsite_id = 's'\nrate_limt = 3\n", "parcelhook.toml:4", "did you mean rate_limit"),
    ("setle_seconds = 3\n", "parcelhook.toml:1", "did you mean settle_seconds"),
    (
        "[stores.x]\napi_key = 's'\nsite_id = 's'\n[[stores.x.rules]]\ncarier = 'x'\n",
        "parcelhook.toml:5",
        "did you mean carrier",
    ),
    ("[[rules]]\ncarrier='a'\n[[rules]]\ncarier = 'x'\n", "parcelhook.toml:4", "did you mean carrier"),
    ("[[rules]]\ncarrier='a'\n[[rules]]\ncountry = 'x'\n", "parcelhook.toml:3", "rules.1.carrier: is missing"),
    ("settle_seconds = 'soon'\n", "parcelhook.toml:1", "settle_seconds: should be a number"),
    ("settle_seconds = -1\n", "parcelhook.toml:1", "should be at least 0"),
    ("[stores.x]\napi_key='s'\nsite_id='s'\nrate_limit='many'\n", "parcelhook.toml:4", "should be a whole number"),
    ("[stores.x]\napi_key='s'\nsite_id='s'\nships_after=2025-01-01T00:00:00\n", "parcelhook.toml:4", "time zone"),
    ("[stores.x]\nrate_limit = 3\n", "parcelhook.toml:1", "has no credentials"),
    ("[stores.x]\napi_key='s'\n", "parcelhook.toml:1", "lacks site_id (PARCELHOOK_WIX_SITE_ID)"),
    ("[stores.x]\napp_id='a'\ninstance_id='i'\n", "parcelhook.toml:1", "lacks app_secret"),
    ("[stores.x]\napp_id='a'\napi_key='s'\n", "parcelhook.toml:1", "two kinds, app_id and api_key"),
    ("[stores.x]\napp='ours'\napp_id='a'\ninstance_id='i'\n[apps.ours]\napp_id='a'\napp_secret='s'\n", ":1", "repeats"),
    ("[stores.x]\napp='our'\ninstance_id='i'\n[apps.ours]\napp_id='a'\napp_secret='s'\n", ":2", "did you mean ours"),
    ("[stores.x]\napp='ours'\n[apps.ours]\napp_id='a'\napp_secret='s'\n", "parcelhook.toml:1", "lacks instance_id"),
    ("[apps.ours]\napp_id='a'\n", "parcelhook.toml:1", "apps.ours.app_secret: is missing"),
    ("[stores.'a b']\napi_key='s'\nsite_id='s'\n", "parcelhook.toml:1", "should match the pattern"),
    ("stores = 3\n", "parcelhook.toml:1", "should be a table"),
    ("[stores.x]\napi_key='s'\nsite_id='s'\nwix_url='http://wix.example'\n", "parcelhook.toml:4", "https://"),
    ("[stores.x]\napi_key='s'\nsite_id='s'\nwix_url='wixapis.com'\n", "parcelhook.toml:4", "a URL like"),
    ("database_url='mysql://u:s3cret-value-4711@h/d'\n", "parcelhook.toml:1", "a URL like"),
    ("[plugins]\nallowed=['fedex']\n", "parcelhook.toml:2", "did you mean allow"),
    ("settle_seconds = 1\nx = = 's3cret-value-4711'\n", "parcelhook.toml:2", "not TOML"),
    ("settle_seconds = 1\nsettle_seconds = 2\n", "parcelhook.toml:2", "not TOML"),
]


@pytest.mark.parametrize(("text", "where", "why"), MISTAKES)
def test_a_mistake_in_the_file_names_its_line(text: str, where: str, why: str) -> None:
    """Each mistake is a configuration error with file and line, the reason, and no secret."""
    with pytest.raises(ConfigurationError) as caught:
        load(text)

    assert where in caught.value.message
    assert where in caught.value.where
    assert why in caught.value.message
    assert caught.value.what_to_do
    assert SECRET not in repr(caught.value)


def test_what_a_store_lacks_comes_first() -> None:
    """The message begins with the fields that are missing, and names the variables of this very store."""
    one = "[stores.x]\napp_id='a'\n"
    two = f"{one}[stores.y]\napi_key='k'\nsite_id='s'\n"
    both = "PARCELHOOK_STORES__X__APP_SECRET and PARCELHOOK_STORES__X__INSTANCE_ID"

    with pytest.raises(ConfigurationError) as alone:
        load(one)
    with pytest.raises(ConfigurationError) as of_two:
        load(two)

    assert alone.value.message.startswith(
        "stores.x: lacks app_secret (PARCELHOOK_WIX_APP_SECRET) and instance_id (PARCELHOOK_WIX_INSTANCE_ID); "
    )
    assert alone.value.what_to_do.startswith("Set PARCELHOOK_WIX_APP_SECRET and PARCELHOOK_WIX_INSTANCE_ID, or write")
    assert of_two.value.what_to_do == f"Set {both}, or write it under [stores.x] in parcelhook.toml."


VARIABLE_MISTAKES = [
    ({"PARCELHOOK_WIX_APP_SECRT": SECRET}, "PARCELHOOK_WIX_APP_SECRT", "not a known variable"),
    ({"PARCELHOOK_DATABASE_ULR": SECRET}, "PARCELHOOK_DATABASE_ULR", "not a known variable"),
    ({"PARCELHOOK_CARRIERS__FEDEX": SECRET}, "PARCELHOOK_CARRIERS__FEDEX", "not a known variable"),
    ({"PARCELHOOK_WIX_API_KEY": SECRET}, "PARCELHOOK_WIX_API_KEY", "lacks site_id (PARCELHOOK_WIX_SITE_ID)"),
    ({**APP, **KEY}, "PARCELHOOK_WIX_API_KEY", "two kinds"),
    ({**KEY, "PARCELHOOK_WIX_API_KEY_FILE": "x"}, "PARCELHOOK_WIX_API_KEY_FILE", "both set"),
    ({"PARCELHOOK_WIX_API_KEY_FILE": "missing"}, "PARCELHOOK_WIX_API_KEY_FILE", "missing cannot be read"),
    ({**KEY, "PARCELHOOK_SETTLE_SECONDS": "soon"}, "PARCELHOOK_SETTLE_SECONDS", "should be a number"),
    ({**KEY, "PARCELHOOK_WIX_URL": "http://wix.example"}, "PARCELHOOK_WIX_URL", "https://"),
    ({"PARCELHOOK_STORES__DEFAULT__API_KY": SECRET}, "PARCELHOOK_STORES__DEFAULT__API_KY", "did you mean api_key"),
    ({"PARCELHOOK_APPS__OURS__APP_ID": "a"}, "the environment", "apps.ours.app_secret: is missing"),
    ({"PARCELHOOK_CONFIG": "missing.toml"}, "missing.toml", "cannot be read"),
    ({"PARCELHOOK_CARRIERS__A__B": "1", "PARCELHOOK_CARRIERS__A__B__C": "2"}, "PARCELHOOK_CARRIERS__A__B__C", "inside"),
]


@pytest.mark.parametrize(("environment", "where", "why"), VARIABLE_MISTAKES)
def test_a_mistake_in_the_environment_names_its_variable(environment: dict[str, str], where: str, why: str) -> None:
    """Each mistake is a configuration error with the variable, the reason, and no secret."""
    with pytest.raises(ConfigurationError) as caught:
        load(**environment)

    assert where in caught.value.where
    assert why in caught.value.message
    assert caught.value.what_to_do
    assert SECRET not in repr(caught.value) + caught.value.what_to_do


def test_variables_a_cluster_sets_are_left_alone() -> None:
    """A service named parcelhook makes a cluster set variables that begin like ours; they are no mistake."""
    settings = load(PARCELHOOK_PORT="tcp://10.0.0.1:80", PARCELHOOK_SERVICE_HOST="10.0.0.1", PARCELHOOK_WIX_API_KEY="")

    assert settings.stores == {}


def test_one_stores_variable_beside_several_stores_is_refused() -> None:
    """A variable for one store does not say which of several it is for."""
    with pytest.raises(ConfigurationError, match="north, south-shop") as caught:
        load(TWO_STORES, PARCELHOOK_WIX_API_KEY=SECRET)

    assert caught.value.what_to_do == "Name the store: PARCELHOOK_STORES__NAME__API_KEY."


def test_the_store_that_is_meant() -> None:
    """A name picks its store; without one there must be just one."""
    settings = load(TWO_STORES)

    assert settings.store_name("north") == "north"
    with pytest.raises(ConfigurationError, match="none is named") as several:
        settings.store()
    assert "north, south-shop" in several.value.what_to_do
    with pytest.raises(InputError, match="did you mean north") as unknown:
        settings.store("nroth")
    assert unknown.value.field == "--store"


def test_no_store_at_all_says_what_to_set() -> None:
    """Asking for a store where none is configured names the file and the variables."""
    with pytest.raises(ConfigurationError, match="no store is configured") as caught:
        load().store()

    assert "PARCELHOOK_WIX_APP_ID" in caught.value.what_to_do


def test_an_unreadable_file_is_a_mistake(tmp_path: Path) -> None:
    """A folder, or bytes that are no text, in the place of the file are named."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")

    for path in (tmp_path, tmp_path / "bytes.toml"):
        with pytest.raises(ConfigurationError, match="cannot be read") as caught:
            Settings.load(path, environment={})
        assert caught.value.where == str(path)


def test_secrets_are_not_shown() -> None:
    """Neither repr nor str of settings holds a secret, a carrier's account or the database's password."""
    settings = load(
        f"database_url = 'postgresql://u:{SECRET}@h/d'\n[carriers.fedex]\nclient_secret = '{SECRET}'\n",
        **APP,
        PARCELHOOK_TOKEN=SECRET,
    )

    assert SECRET not in repr(settings) + str(settings) + repr(settings.store())
    assert settings.database_url == f"postgresql://u:{SECRET}@h/d"


def test_settings_made_from_arguments_read_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings in a test depend neither on the environment nor on a file."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:///no.sqlite")
    Path("parcelhook.toml").write_text("nonsense = 1", encoding="utf-8")

    settings = Settings(stores={"main": Store.model_validate({"api_key": "k", "site_id": "s"})})

    assert settings.store_name() == "main"
    assert settings.database_url == "sqlite:///parcelhook.sqlite"


@given(st.text(alphabet="abcdefgh0123456789", min_size=1), st.integers(0, 255))
def test_only_this_machine_is_loopback(name: str, last: int) -> None:
    """Names that merely look like loopback are not."""
    assert is_loopback(f"127.0.0.{last}")
    assert not is_loopback(f"127.0.0.1.{name}.example")
    assert not is_loopback(f"localhost.{name}")
