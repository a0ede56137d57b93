"""`mqttsec bench anonymity`: it runs, says what it found, and judges simulation against theory."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mqttsec.anonymity import command
from mqttsec.cli import main
from mqttsec.errors import ConfigurationError

QUICK = ["bench", "anonymity", "--paths", "2000", "--rounds", "1"]


def test_it_prints_three_ways_and_the_sweep(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "rows.csv"
    assert main([*QUICK, "--csv", str(kept)]) == 0
    said = capsys.readouterr().out
    for words in (
        "plain Python, hop by hop", "NumPy, hop by hop", "NumPy, quick", "aim: 20 million paths/s",
        "variant A: 45 crowds x 2,000 paths", "variant B: 45 crowds", "standard errors",
    ):  # fmt: skip
        assert words in said
    with kept.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 90 and all(float(row["P(H1+) sigmas"]) < 4 for row in rows)


def test_disagreement_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "collaborator_on_path", lambda crowd: 0.99)
    assert main(QUICK) == 1
    assert "simulation and theory disagree" in capsys.readouterr().out


def test_processes_give_the_same_rows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for engine in ("serial", "processes"):
        main([*QUICK, "--map", engine, "--csv", str(tmp_path / engine)])
    assert (tmp_path / "serial").read_text() == (tmp_path / "processes").read_text()
    assert "(processes)" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "said"), [
    (["--c", "30"], "at most 19 can collaborate"), (["--p-f", "1"], "never leave"),
    (["--paths", "0"], "--paths"), (["--csv", "no/such/folder/rows.csv"], "choose another path"),
])  # fmt: skip
def test_bad_arguments_say_what_to_do(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        command.main([*QUICK[2:], *arguments])
