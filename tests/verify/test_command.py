"""`mqttsec verify`: verdicts, exit status, the table, and what stands in it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mqttsec.errors import ConfigurationError, MissingPeerError
from mqttsec.verify import runner
from mqttsec.verify.command import main


def test_safe_is_status_0_and_says_how_far(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--variant", "hardened", "--intruder", "insider", "--part", "Block 1", "--instances", "4"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "hardened, insider, Block 1: safe with 4 instances (40 states)\n"


def test_an_attack_is_status_1_and_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--variant",
        "published",
        "--intruder",
        "publisher",
        "--goal",
        "binding P-B",
        "--part",
        "Block 1",
    ]
    assert main([*arguments, "--ladder"]) == 1
    shown = capsys.readouterr().out
    assert "published, publisher, Block 1: binding P-B fails with 2 instances" in shown
    assert "run on the real machines: it succeeds" in shown
    assert "CONNACK" in shown and "mallory" in shown


def test_the_whole_table_for_one_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Sizes that are known from elsewhere: a prototype and ProVerif gave the same verdicts."""
    file = tmp_path / "all.csv"
    arguments = ["--all", "--variant", "published", "--intruder", "outsider", "--csv", str(file)]
    assert main(arguments) == 0
    row = capsys.readouterr().out.splitlines()[2].split()
    assert row[:2] == ["published", "outsider"]
    assert row[2:5] == [".....", ".....", "..."]
    assert row[5:11] == [".3..3", "..3..", ".4..4", "..4..", ".4..4", "..3.."]
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    mixed = [each for each in rows if each["property"] == "pairing" and each["subject"] == "P-B"]
    assert [each["attack_instances"] for each in mixed] == ["3", "3"]


def test_a_row_that_is_not_as_it_should_be_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """With two instances no replay is possible, so a handshake without cache looks safe: that is said."""
    arguments = ["--all", "--variant", "no replay cache", "--intruder", "outsider", "--instances", "2"]
    assert main(arguments) == 1
    assert "not as it should be: no replay cache: nothing is found" in capsys.readouterr().err


def test_deep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--deep", "--instances", "8"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("hardened, outsider, Block 2: safe with 8 instances")


def test_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert "P does not check S" in shown and "binding" in shown and "insider" in shown


@pytest.mark.parametrize("form", ["hlpsl", "proverif", "tamarin", "maude"])
def test_export(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--export", form, "--variant", "hardened"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--variant", "hardend"], "there is no variant 'hardend'"),
        (["--goal", "honesty P-B"], "there is no goal 'honesty P-B'"),
        (["--goal", "agreement P-B", "--part", "Block 2"], "is not asked of 'Block 2'"),
        (["--instances", "0"], "--instances must be 1 or more"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        main(arguments)


def test_without_the_engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(runner, "installed", lambda: False)
    with pytest.raises(MissingPeerError, match=r"mqttsec\[verify\]"):
        main(["--all"])
    # What needs no engine works.
    assert main(["--list"]) == 0
    assert main(["--export", "hlpsl"]) == 0


def test_the_table_in_the_documentation_is_what_comes_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The rows of the two handshakes against an insider, with their bounds; the others take a minute."""
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text(encoding="utf-8").splitlines()
    for name in ("published", "hardened"):
        assert main(["--all", "--variant", name, "--intruder", "insider"]) == 0
        row = capsys.readouterr().out.splitlines()[2].split()
        assert row in [line.split() for line in page]
