"""``doctor``: whether everything works together, and what helps if not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_runs import SECRET, Shell, open_shell
from parcelhook.sandbox import Running, SandboxSettings, running


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Serve a Wix store with one order for all tests of this file."""
    with running(SandboxSettings(orders=1, rate_limit=0)) as served:
        yield served


def variables(sandbox: Running) -> dict[str, str]:
    """Give what an operator sets to use the sandbox."""
    ready = sandbox.ready
    return {
        "PARCELHOOK_WIX_URL": sandbox.url,
        "PARCELHOOK_WIX_APP_ID": str(ready["app_id"]),
        "PARCELHOOK_WIX_APP_SECRET": str(ready["app_secret"]),
        "PARCELHOOK_WIX_INSTANCE_ID": str(ready["instance_id"]),
        "PARCELHOOK_WIX_PUBLIC_KEY_FILE": str(ready["public_key_file"]),
    }


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Running) -> Shell:
    """Give a shell that is set up for the sandbox."""
    return open_shell(tmp_path, monkeypatch, **variables(sandbox))


def checks(shell: Shell, *arguments: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """Run all checks and give them by name."""
    return {each["check"]: each for each in shell.json("doctor", *arguments, code=code)}


def with_variables(shell: Shell, **changes: str) -> Shell:
    """Give the shell with some variables changed."""
    return Shell(shell.folder, {**shell.variables, **changes})


def test_a_sound_installation_has_nothing_to_mend(shell: Shell, sandbox: Running) -> None:
    """Settings, ledger, plug-ins and the store's access, public key and clock are all checked."""
    found = checks(shell)

    assert {"settings", "ledger", "carriers folder", "plug-in fedex", "plug-in carriers/acme.toml"} <= set(found)
    assert {"store default: access", "store default: webhooks", "store default: clock"} <= set(found)
    assert all(each["ok"] for each in found.values())
    assert all(set(each) == {"check", "ok", "detail", "what_to_do"} for each in found.values())
    assert sandbox.url in found["store default: access"]["detail"]
    assert "it has orders" in found["store default: access"]["detail"]


def test_people_get_a_table_of_checks(shell: Shell) -> None:
    """Without --json there is a line for each check."""
    result = shell.run("doctor")

    assert result.exit_code == 0
    assert "store default: access" in result.stdout


def test_a_refused_credential_is_found(shell: Shell) -> None:
    """Where Wix refuses the app, the check says so with Wix's exit code, and the secret stays out."""
    result = with_variables(shell, PARCELHOOK_WIX_APP_SECRET=SECRET).run("doctor", "--json")
    found = checks(with_variables(shell, PARCELHOOK_WIX_APP_SECRET=SECRET), code=4)

    assert not found["store default: access"]["ok"]
    assert "401" in found["store default: access"]["detail"]
    assert found["store default: access"]["what_to_do"]
    assert SECRET not in result.output


def test_a_public_key_that_is_none_is_found(shell: Shell) -> None:
    """Webhooks cannot be checked with a key that cannot be read, nor without one."""
    without = {name: value for name, value in shell.variables.items() if "PUBLIC_KEY" not in name}
    wrong = checks(Shell(shell.folder, {**without, "PARCELHOOK_WIX_PUBLIC_KEY": "pem"}), code=6)
    missing = checks(Shell(shell.folder, without), code=6)

    assert "no PEM" in wrong["store default: webhooks"]["detail"]
    assert "PARCELHOOK_WIX_PUBLIC_KEY" in missing["store default: webhooks"]["what_to_do"]


def test_a_store_by_api_key_is_checked(shell: Shell, sandbox: Running) -> None:
    """A store with an API key gets no webhooks, and that is no fault."""
    ready = sandbox.ready
    own = {"PARCELHOOK_WIX_API_KEY": str(ready["api_key"]), "PARCELHOOK_WIX_SITE_ID": str(ready["site_id"])}
    found = checks(Shell(shell.folder, {"PARCELHOOK_WIX_URL": sandbox.url, **own}))

    assert found["store default: access"]["ok"]
    assert "polled" in found["store default: webhooks"]["detail"]


def test_wrong_settings_are_the_only_finding(shell: Shell) -> None:
    """Without readable settings nothing else can be checked."""
    shell.write("parcelhook.toml", "nonsense = 1\n")

    found = checks(shell, code=6)

    assert list(found) == ["settings"]
    assert "parcelhook.toml:1" in found["settings"]["detail"]


def test_no_store_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without a store works for numbers and links; what is missing is named."""
    found = checks(open_shell(tmp_path, monkeypatch), code=6)

    assert found["ledger"]["ok"]
    assert "PARCELHOOK_WIX_APP_ID" in found["stores"]["what_to_do"]


def test_what_is_configured_about_carriers_is_checked(shell: Shell) -> None:
    """Accounts and rules must name carriers that are served, and fit what these take."""
    shell.write(
        "parcelhook.toml",
        f'[carriers.fedx]\nkey = "{SECRET}"\n[[rules]]\ncarrier = "acme"\n[[rules]]\ncarrier = "acne"\n',
    )

    result = shell.run("doctor", "--json")
    found = checks(shell, code=2)

    assert found["carrier fedx"]["what_to_do"] == 'Did you mean "fedex"?'
    assert found["rule 1"]["ok"]
    assert not found["rule 2"]["ok"]
    assert SECRET not in result.output


def test_a_stores_own_accounts_are_checked(shell: Shell) -> None:
    """An account of one store is checked as that store would use it."""
    shell.write("parcelhook.toml", '[stores.default.carriers.acme]\nkey = "x"\n')

    assert checks(shell)["carrier acme of store default"]["ok"]


def test_a_carrier_file_with_a_mistake_is_found(shell: Shell) -> None:
    """A file of the carriers folder that is wrong is a plug-in that failed, with file and line."""
    shell.write("carriers/wrong.toml", 'id = "wrong"\nname = "Wrong"\nlink = "http://wrong.example/{number}"\n')

    found = checks(shell, code=6)

    assert not found["plug-in carriers/wrong.toml"]["ok"]
    assert "wrong.toml:3" in found["plug-in carriers/wrong.toml"]["detail"]


def test_a_carriers_folder_that_is_missing_is_found(shell: Shell) -> None:
    """A folder that was configured must be there."""
    found = checks(with_variables(shell, PARCELHOOK_CARRIERS_FOLDER="elsewhere"), code=6)

    assert "elsewhere is no folder" in found["carriers folder"]["detail"]


def test_a_ledger_that_cannot_be_opened_is_found(shell: Shell) -> None:
    """A database in a folder that does not exist is named, and the other checks go on."""
    found = checks(with_variables(shell, PARCELHOOK_DATABASE_URL="sqlite:///none/ledger.sqlite"), code=6)

    assert not found["ledger"]["ok"]
    assert "none" in found["ledger"]["detail"]
    assert found["store default: clock"]["ok"]


def test_one_store_can_be_checked_alone(shell: Shell) -> None:
    """--store names the store to check; an unknown one is an error that lists the known."""
    assert "store default: access" in checks(shell, "--store", "default")

    found = checks(shell, "--store", "defalt", code=2)

    assert list(found) == ["settings"]
    assert found["settings"]["what_to_do"] == "Configured are: default."
