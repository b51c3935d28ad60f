"""``doctor``: whether everything works together, and what helps if not."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


def install(shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Install a plug-in of one module, named as its carrier."""
    folder = shell.folder.parent / f"installed-{name}"
    info = folder / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[parcelhook]\n{name} = doctored_{name}\n", encoding="utf-8")
    (folder / f"doctored_{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, f"doctored_{name}", raising=False)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer every request with the same bytes, and give the URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


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
    found = checks(shell, code=6)

    assert found["carrier fedx"]["what_to_do"] == 'Did you mean "fedex"?'
    assert found["rule 1"]["ok"]
    assert not found["rule 2"]["ok"]
    assert SECRET not in result.output


def test_a_rule_with_an_unknown_carrier_is_a_mistake_in_the_configuration(shell: Shell) -> None:
    """It ends with the exit code of configurations, also where it is the only finding."""
    shell.write("parcelhook.toml", '[[rules]]\ncarrier = "acne"\n')

    assert checks(shell, code=6)["rule 1"]["what_to_do"] == 'Did you mean "acme"?'


def test_a_stores_own_accounts_are_checked(shell: Shell) -> None:
    """An account of one store is checked as that store would use it."""
    shell.write("parcelhook.toml", '[stores.default.carriers.acme]\nhost = "https://api.acme.example"\n')

    found = checks(shell)["carrier acme of store default"]

    assert (found["ok"], found["detail"]) == (True, "1 setting for Acme Couriers")


def test_a_setting_that_nobody_reads_is_noticed(shell: Shell) -> None:
    """A carrier without settings of its own ignores what is written for it, and that is told, without the value."""
    shell.write("parcelhook.toml", f'[carriers.acme]\nhots = "{SECRET}"\n')

    found = checks(shell)["carrier acme"]

    assert found["ok"] is None
    assert found["detail"] == "nothing of Acme Couriers reads hots"
    assert "host" in found["what_to_do"]
    assert "carrier acme" in shell.run("doctor").stdout
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("extra", "ok", "code"), [("ignore", False, 6), ("allow", True, 0)], ids=["that ignores it", "that takes it"]
)
def test_a_setting_beside_a_model(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    ok: object,
    code: int,
) -> None:
    """A key that a carrier's own settings do not know is a mistake, unless they take whatever comes."""
    settings = f"""
from pydantic import BaseModel, ConfigDict

from parcelhook import Carrier, hookimpl


class Account(BaseModel):
    model_config = ConfigDict(extra="{extra}")
    key: str


@hookimpl
def parcelhook_carriers():
    return [Carrier(id="zeta", name="Zeta", settings=Account)]
"""
    install(shell, monkeypatch, "zeta", settings)
    shell.write("parcelhook.toml", '[carriers.zeta]\nkey = "x"\nkye = "y"\n')

    found = checks(shell, code=code)["carrier zeta"]

    assert found["ok"] is ok
    assert ("kye" in found["detail"]) is not ok


def test_a_missing_secret_of_a_carrier_names_its_variable(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do begins with the variables that are missing, and no others."""
    settings = """
from pydantic import BaseModel, SecretStr

from parcelhook import Carrier, hookimpl


class Account(BaseModel):
    user: str
    key: SecretStr
    pin: SecretStr


@hookimpl
def parcelhook_carriers():
    return [Carrier(id="zeta", name="Zeta", settings=Account)]
"""
    install(shell, monkeypatch, "zeta", settings)
    shell.write("parcelhook.toml", '[carriers.zeta]\nuser = "x"\n')

    found = checks(shell, code=6)["carrier zeta"]

    assert found["detail"] == "[carriers.zeta] key: is missing; [carriers.zeta] pin: is missing"
    assert found["what_to_do"].startswith("Set PARCELHOOK_CARRIERS__ZETA__KEY and PARCELHOOK_CARRIERS__ZETA__PIN, or")


def test_a_clock_that_cannot_be_compared_is_no_yes(shell: Shell) -> None:
    """Where the store shows no time, nobody knows whether the clock is right, and why is said."""
    with answering(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as url:
        timeless = with_variables(shell, PARCELHOOK_WIX_URL=url)
        found = checks(timeless, code=4)["store default: clock"]
        shown = timeless.run("doctor").stdout

    assert (found["ok"], found["detail"]) == (None, f"not compared: {url} shows no time")
    assert re.search(r"store default: clock +-  +not compared", shown)


def test_a_clock_that_is_wrong_is_found(shell: Shell) -> None:
    """A clock that is far off ends with the exit code of configurations, and says how far."""
    date = b"Date: Mon, 02 Mar 2020 12:00:00 GMT\r\n"
    with answering(b"HTTP/1.1 401 No\r\n" + date + b"Content-Length: 0\r\nConnection: close\r\n\r\n") as url:
        found = checks(with_variables(shell, PARCELHOOK_WIX_URL=url), code=4)["store default: clock"]

    assert found["ok"] is False
    assert re.search(r"^this machine's clock is \d+ s ahead of Wix's$", found["detail"])


def test_https_to_a_port_that_speaks_http_gets_a_hint(shell: Shell, sandbox: Running) -> None:
    """Whoever writes https for a sandbox is told what is wrong with the URL; the clock cannot be compared there."""
    url = sandbox.url.replace("http://", "https://")

    found = checks(with_variables(shell, PARCELHOOK_WIX_URL=url), code=4)

    assert "speaks no https" in found["store default: access"]["what_to_do"]
    assert "http://" in found["store default: access"]["what_to_do"]
    assert found["store default: clock"]["ok"] is None
    assert found["store default: clock"]["detail"].startswith(f"not compared: {url} cannot be reached: ")


@pytest.mark.parametrize(("stores", "said"), [(0, "0 stores, 1 rule"), (1, "1 store, 1 rule"), (2, "2 stores, 1 rule")])
def test_what_is_counted_is_told_in_the_right_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Running, stores: int, said: str
) -> None:
    """One store is no plural."""
    shell = open_shell(tmp_path, monkeypatch)
    text = "".join(
        f'[stores.s{place}]\nwix_url = "{sandbox.url}"\napi_key = "k"\nsite_id = "{place}"\n' for place in range(stores)
    )
    shell.write("parcelhook.toml", f'{text}[[rules]]\ncarrier = "acme"\n')

    found = {each["check"]: each for each in json.loads(shell.run("doctor", "--json").stdout)}

    assert found["settings"]["detail"] == said
    assert found["carriers folder"]["detail"] == "carriers: 1 file"
    assert found["plug-in ups"]["detail"] == "active, 1 carrier"


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
