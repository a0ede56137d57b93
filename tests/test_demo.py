"""`mqttsec demo` over real sockets: everyone gets everything, and the broker reads it all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.readings import weather


def _demo(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mqttsec", "demo", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_json_says_who_received_what() -> None:
    run = _demo("--days", "30", "--json")
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout)
    assert outcome["published"] == 120 and outcome["complete"] is True
    got = {row["name"]: (row["messages"], row["protocol"]) for row in outcome["received"]}
    assert got == {
        "dashboard": (120, "MQTT 5.0"),
        "irrigation": (30, "MQTT 5.0"),
        "windmill": (30, "MQTT 5.0"),
        "old-logger": (30, "MQTT 3.1.1"),
    }


def test_the_broker_read_exactly_the_payloads_that_were_published() -> None:
    outcome = json.loads(_demo("--days", "30", "--json").stdout)
    messages = [message for reading in weather(30) for message in reading.messages()]
    reads = outcome["broker_reads"]
    assert reads["payload_bytes_in_plain"] == sum(len(payload) for _, payload in messages)
    assert reads["topics"] == dict.fromkeys(sorted({topic for topic, _ in messages}), 30)
    assert json.loads(reads["first_payload"]) == {"date": "2012-01-01", "value": 12.8, "unit": "degC"}
    assert reads["who_reads_what"]["irrigation"] == ["seattle/precipitation"]


def test_the_schemes_hide_the_payloads_and_cost_what_their_table_says() -> None:
    outcome = json.loads(_demo("--days", "2", "--json").stdout)
    runs = {run["scheme"]: run for run in outcome["schemes"]}
    assert set(runs) == {1, 2, 3, 4}
    for run in runs.values():
        assert (run["messages"], run["received"], run["broker_reads"]) == (8, 24, 0)
        assert run["as_the_table_says"] is True
        assert run["block_1"] == 2
        # Steps 5, 7, 13, 14, and two packets for each round of waiting; the first came before the station.
        assert run["waits"]["dashboard"] >= 2
        assert run["block_2"] == {name: 4 + 2 * waits for name, waits in run["waits"].items()}
    # Three subscribers (specification 1.5).
    assert {number: run["operations"]["B"] for number, run in runs.items()} == {
        1: "0", 2: "3E + 3D + 6H", 3: "E + D + 2H", 4: "2H"
    }  # fmt: skip


def test_trace_and_capture_are_written(tmp_path: Path) -> None:
    run = _demo("--days", "3", "--trace", str(tmp_path / "run.json"), "--capture", str(tmp_path / "run.pcap"))
    assert run.returncode == 0, run.stderr
    assert "irrigation" in run.stdout and "all in plain" in run.stdout
    assert json.loads((tmp_path / "run.json").read_text())
    assert (tmp_path / "run.pcap").stat().st_size > 1000


@pytest.mark.parametrize("days", ["0", "1462"])
def test_impossible_days_are_refused_in_one_line(days: str) -> None:
    run = _demo("--days", days)
    assert run.returncode == 2
    assert run.stderr.strip().count("\n") == 0 and "1 to 1461" in run.stderr


def test_the_station_measured_1461_days() -> None:
    readings = weather()
    assert len(readings) == 1461
    assert (readings[0].date, readings[-1].date) == ("2012-01-01", "2015-12-31")
    with pytest.raises(ConfigurationError):
        weather(-1)


def test_through_bridge_brokers_every_reading_comes_once_and_its_path_is_printed() -> None:
    run = json.loads(_demo("--days", "2", "--json").stdout)["network"]
    assert (run["bridges"], run["published"], run["received"], run["duplicates"]) == (10, 8, 8, 0)
    assert run["in_order"] is True and len(run["paths"]) == 8
    for path in run["paths"]:
        names = path.split(" > ")
        assert names[:2] == ["station", "b2"] and names[-1] == "public1" and len(names) >= 4
        assert names[-2] in run["public_saw"]
    text = _demo("--days", "1").stdout
    assert "Through 10 bridge brokers over real sockets" in text and "  4 station > b2 > " in text
