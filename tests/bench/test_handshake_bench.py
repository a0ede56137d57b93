"""`mqttsec bench handshake` measures all three parts, names what it left out, and leaves nothing running."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mqttsec.cli import main
from mqttsec.errors import ConfigurationError, MissingPeerError
from mqttsec.measure import connects, half_open, handshake, joins, peers
from mqttsec.measure.figures import Figure, spread
from tests.peers import require_peer


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    names = [child.name() for child in psutil.Process().children(recursive=True)]
    assert not [name for name in names if "mosquitto" in name], names


@pytest.mark.interop
def test_a_quick_run_has_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_peer("mosquitto")
    path = tmp_path / "rows.csv"
    assert main(["bench", "handshake", "--quick", "--curve", "X25519", "--csv", str(path)]) == 0
    with path.open() as file:
        rows = [
            Figure(row["part"], row["what"], int(row["round"]), float(row["value"]), row["unit"])
            for row in csv.DictReader(file)
        ]
    connected = [row.what for row in rows if row.part == connects.PART]
    # A B A B: every round has every contestant, in the same order.
    assert connected == ["Block 1 published X25519", "Block 1 hardened X25519", "TLS 1.3 X25519"] * 5
    assert [row.what for row in rows if row.part == joins.PART] == ["published X25519", "hardened X25519"]
    flood = {row.what: row.value for row in rows if row.part == half_open.PART}
    assert flood["one name: held at the same time"] == 4
    assert flood["one name: held at some time"] + flood["one name: refused at once, 0x89 Server busy"] == 40
    assert flood["many names: held at the same time"] == 10 == flood["once more: held at the same time"]
    assert "one name floods: a subscriber joins" in flood and "after: a subscriber joins" in flood
    assert "many names flood: a publisher connects" in flood
    assert [value for what, value in flood.items() if "left after the time limit" in what] == [0, 0, 0]
    said = capsys.readouterr().out
    # The ratios come last.
    assert "Block 1 hardened X25519 / TLS 1.3 X25519: " in said.splitlines()[-3]
    assert "half-open handshakes held: 10  aim <= 10: met" in said
    assert all(row.value >= 0 for row in rows if row.unit in ("us", "s", "connections"))


def test_a_missing_mosquitto_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> str:
        raise MissingPeerError("mosquitto is not installed. Install it")

    monkeypatch.setattr(peers, "find_mosquitto", missing)
    plan = handshake.Plan(curves=("X25519",), rounds=1, subscribers=0, flood=0)
    rows = list(handshake.run(plan))
    assert {row.what for row in rows} == {"Block 1 published X25519", "Block 1 hardened X25519"}
    assert "left out: mosquitto is not installed" in capsys.readouterr().out
    assert list(handshake.ratios(plan, rows)) == [""]


def test_ratios_are_of_medians_and_say_what_was_missed() -> None:
    plan = handshake.Plan(curves=("P-256",))
    rows = [Figure("connect", "Block 1 published P-256", n, us, "us") for n, us in enumerate((1, 3, 99))]
    rows += [Figure("connect", "Block 1 hardened P-256", n, 2.0, "us") for n in range(3)]
    rows += [Figure("connect", "TLS 1.3 P-256", n, 2.0, "us") for n in range(3)]
    rows += [Figure("join", "hardened P-256", 1, 4.0, "s")]
    rows += [Figure("half-open", "many names: held at the same time", 1, 1001, "connections")]
    text = "\n".join(handshake.ratios(plan, rows))
    assert "Block 1 published P-256 / TLS 1.3 P-256: 1.50  aim <= 1.5: met" in text
    assert "Block 1 hardened P-256 / TLS 1.3 P-256: 1.00" in text
    assert "200 subscribers, hardened P-256: 4.00 s  aim < 3 s: NOT MET" in text
    assert "held: 1,001  aim <= 1,000: NOT MET" in text


def test_numbers_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for words in (["--rounds", "0"], ["--half-open", "0"], ["--flood", "-1"]):
        with pytest.raises(ConfigurationError):
            handshake.parse(words)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        handshake.main(["--csv", str(tmp_path / "nowhere" / "rows.csv")])


def test_the_spread_of_figures() -> None:
    assert spread([5.0]) == (5.0, 5.0, 5.0, 5.0)
    assert spread([float(n) for n in range(1, 101)])[1] == 50.5
