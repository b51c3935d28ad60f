"""``identify``: candidates for numbers, on the command line and from stdin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_runs import NUMBER, Shell, open_shell

URL = "https://track.acme.example/"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell with the built-in carriers and Acme."""
    return open_shell(tmp_path, monkeypatch)


def test_each_number_has_its_candidates(shell: Shell) -> None:
    """The answer is a list in the order of the numbers, each with exactly the promised names."""
    answer = shell.json("identify", "ac 1234-5678 2", "1Z999AA10123456784")

    assert answer[0] == {
        "input": "ac 1234-5678 2",
        "number": NUMBER,
        "candidates": [
            {"carrier": "acme", "service": "Acme Express", "check_digit": True, "confidence": 0.9, "url": URL}
        ],
    }
    assert answer[1]["candidates"][0]["carrier"] == "ups"
    assert answer[1]["candidates"][0]["url"].startswith("https://www.ups.com/")
    assert all(0 <= each["confidence"] <= 1 for number in answer for each in number["candidates"])


def test_a_number_nobody_gives_has_no_candidates(shell: Shell) -> None:
    """No candidate is an answer, not an error."""
    assert shell.json("identify", "ZZ") == [{"input": "ZZ", "number": "ZZ", "candidates": []}]
    assert "no carrier is known for it" in shell.run("identify", "ZZ").stdout


def test_people_get_a_table(shell: Shell) -> None:
    """Without --json there is a line for each candidate."""
    result = shell.run("identify", NUMBER)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == [NUMBER, "acme", "Acme", "Express", "0.9", URL]


def test_invalid_numbers_are_all_named(shell: Shell) -> None:
    """What is no number is refused, every one of them by name, and nothing is answered."""
    result = shell.run("identify", NUMBER, "a%b", "x\u202ey")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "'a%b': the tracking number holds the character '%'" in result.stderr
    assert "'x\\u202ey'" in result.stderr
    assert "\u202e" not in result.stderr


def test_numbers_from_stdin_are_answered_line_by_line(shell: Shell) -> None:
    """With - each line is an object of its own; a bad one says so in its place and decides the exit code."""
    result = shell.run("identify", "-", "--json", stdin=f"{NUMBER}\n\na%b\r\n1Z999AA10123456784")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 2
    assert [line["input"] for line in lines] == [NUMBER, "a%b", "1Z999AA10123456784"]
    assert [len(line["candidates"]) > 0 for line in lines] == [True, False, True]
    assert set(lines[1]) == {"input", "number", "candidates", "error"}
    assert "holds the character '%'" in lines[1]["error"]["message"]


def test_good_lines_end_well(shell: Shell) -> None:
    """Where every line is a number the exit code is 0, and no line is none at all."""
    assert shell.run("identify", "-", "--json", stdin=f"{NUMBER}\n").exit_code == 0
    assert shell.run("identify", "-", "--json", stdin="").stdout == ""


def test_people_read_lines_too(shell: Shell) -> None:
    """Without --json each line is repeated with its candidates beside it."""
    result = shell.run("identify", "-", stdin=f"{NUMBER}\nZZ\na%b\n")

    assert result.stdout.splitlines()[:2] == [f"{NUMBER}: acme (Acme Express, 0.9)", "ZZ: -"]


def test_bytes_that_are_no_text_are_no_number(shell: Shell) -> None:
    """A line that is not UTF-8 is refused like any other that is no number."""
    result = shell.run("identify", "-", "--json", stdin=b"\xff\xfe\n")

    assert result.exit_code == 2
    assert "error" in json.loads(result.stdout)


def test_a_country_puts_its_own_carrier_first(shell: Shell) -> None:
    """Of two carriers of equal evidence, that of the named country leads."""
    shell.write("carriers/zeta.toml", ZETA)

    plain = shell.json("identify", NUMBER)[0]["candidates"]
    favoured = shell.json("identify", NUMBER, "--country", "gr")[0]["candidates"]

    assert [each["carrier"] for each in plain] == ["acme", "zeta"]
    assert [each["carrier"] for each in favoured] == ["zeta", "acme"]


ZETA = r"""
id = "zeta"
name = "Zeta"
countries = ["GR"]

[[numbers]]
service = "Parcel"
pattern = '(?P<prefix>AC)(?P<serial>\d{8})(?P<check>\d)'
check_digit = { algorithm = "mod10_weighted", weights = [3, 1] }
"""
