"""What README tells a newcomer to type works, in the order it is told."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from parcelhook.settings import Settings

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
FLOWS = re.findall(r"<!-- flow: (\w+) -->\n```bash\n(.*?)```", README, re.DOTALL)


def free_port() -> int:
    """Find a port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
def test_a_configuration_of_the_page_is_valid(text: str, tmp_path: Path) -> None:
    """What the page shows as parcelhook.toml is taken as it is."""
    path = tmp_path / "parcelhook.toml"
    path.write_text(text, encoding="utf-8")

    assert Settings.load(path, environment={}).stores


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run every flow of the page in one shell that stops at the first command that fails, and give what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    binaries = folder / "bin"
    binaries.mkdir()
    command = binaries / "parcelhook"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m parcelhook "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    port = free_port()
    told = "\n".join(f"echo '== {name}'\n{commands}" for name, commands in FLOWS)
    script = "set -e -m\n" + told.replace("8080", str(port)) + "\necho '== end'\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARCELHOOK_")}
    environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
    output = folder / "output.txt"
    with output.open("w", encoding="utf-8") as file:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
        )
        try:
            shell.wait(timeout=120)
        finally:
            subprocess.run(["pkill", "-s", str(shell.pid)], check=False)
            shell.send_signal(signal.SIGTERM)
            shell.wait()
    return output.read_text(encoding="utf-8")


def part(transcript: str, name: str) -> str:
    """Give what one flow printed."""
    return transcript.split(f"== {name}\n")[1].split("\n== ", maxsplit=1)[0]


def test_every_command_of_the_page_succeeds(transcript: str) -> None:
    """The shell reaches the end of the page."""
    assert [name for name, _ in FLOWS] == ["sandbox", "standard", "custom", "bulk", "serve", "corrections"]
    assert transcript.endswith("== end\n"), transcript[-2000:]


def test_a_predefined_carrier_gets_the_link_wix_builds(transcript: str) -> None:
    """The first flow creates one fulfillment, and finds it when it is asked for again."""
    told = part(transcript, "standard")

    assert told.count(" created.") == 1
    assert "was there already." in told
    assert "trackNums=1Z40A7W90300005016" in told


def test_another_carrier_gets_the_link_of_its_definition(transcript: str) -> None:
    """The second flow ships with the catalogue and with a carrier written on the page."""
    told = part(transcript, "custom")

    assert "https://www.evri.com/track/parcel/H00A000000000001" in told
    assert told.count("https://track.acme.example/parcel/AC123456782") == 2


def test_a_file_ships_what_it_lists_and_its_failures_once_they_are_corrected(transcript: str) -> None:
    """The third flow checks a file, ships two of its lines, and the third when it was corrected."""
    told = part(transcript, "bulk")

    assert "3 parcels: 2 valid, 1 failed." in told
    assert "3 parcels: 2 created, 1 failed." in told
    assert told.count("exit code 3") == 2
    assert "1 parcel: 1 created." in told


def test_a_corrected_number_and_its_story(transcript: str) -> None:
    """The last flow corrects a number at Wix and tells what happened to the order."""
    told = part(transcript, "corrections")

    assert "3000000135" in told
    assert "3000000124" in told


def test_the_service_ships_what_it_is_told_and_statuses_move_on(transcript: str) -> None:
    """The fourth flow sees the approvals, creates the fulfillment, and moves it to Fulfilled."""
    told = part(transcript, "serve")

    assert told.count("waits for a carrier and a number") == 3
    assert re.search(r"Fulfilled +\w+ +dhl +3000000124", told)


def test_the_page_says_what_it_is_in_five_lines() -> None:
    """The page begins with its name and five lines."""
    first = README.split("\n\n")[1].splitlines()

    assert README.startswith("# parcelhook\n")
    assert len(first) == 5


@pytest.mark.parametrize("name", ["demo", "tests"])
def test_each_of_the_two_commands_is_a_single_line(name: str) -> None:
    """What a newcomer runs first is one line each."""
    found = re.search(rf"<!-- {name} -->\n```bash\n(.*?)```", README, re.DOTALL)

    assert found is not None
    assert found[1].count("\n") == 1


def test_links_of_the_page_lead_somewhere() -> None:
    """Every file the page names exists."""
    root = Path(__file__).parent.parent

    assert all((root / target).is_file() for target in re.findall(r"\]\(([\w/.]+)\)", README))
