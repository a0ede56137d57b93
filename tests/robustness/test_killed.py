"""kill -9 of a real client process in every state of every QoS hand-shake, and in the middle of streams."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

from mqttsec.mqtt5 import BrokerSettings, InProcessBroker
from mqttsec.net import runtime
from mqttsec.packets import MQTT_3_1_1, MQTT_5, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.robustness.sockets import PATIENCE, Plain, until
from tests.robustness.victim import CLIENT_ID, EXPIRY, SEND_TOPIC, TAKE_TOPIC, payload
from tests.robustness.wires import complaints

ROOT = Path(__file__).parents[2]
ENDLESS = "1000000000"
PROTOCOLS = [pytest.param(MQTT_5, id="5"), pytest.param(MQTT_3_1_1, id="3.1.1")]


@pytest.fixture(scope="module")
def broker() -> Iterator[InProcessBroker]:
    with complaints(runtime().loop) as watcher, InProcessBroker(BrokerSettings(close_timeout=0.2)) as running:
        yield running
    watcher.check()


@pytest.fixture
def address(broker: InProcessBroker) -> Iterator[tuple[str, int]]:
    yield broker.host, broker.port
    # Nothing of one test is there in the next.
    for protocol in (MQTT_5, MQTT_3_1_1):
        with Plain((broker.host, broker.port), protocol) as client:
            client.connect(CLIENT_ID, clean_start=True)


class Victim:
    """A process of `tests.robustness.victim`."""

    def __init__(self, address: tuple[str, int], protocol: int, journal: Path, *part: str) -> None:
        where = (str(address[1]), str(protocol), str(journal))
        self.process = subprocess.Popen([sys.executable, "-m", "tests.robustness.victim", *where, *part],
                                        cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def expect(self, line: str) -> None:
        """Wait for a line; a victim that dies of its own fault ends the wait."""
        said = self.line()
        assert said == line, f"the client process said {said!r} instead of {line!r}"

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(PATIENCE) == -signal.SIGKILL

    def __enter__(self) -> Victim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


def let_the_broker_notice(broker: InProcessBroker) -> None:
    """Until the broker has let the killed client's connection go."""
    def gone() -> bool:
        assert broker.broker is not None
        session = broker.broker.session(CLIENT_ID)
        return session is None or session.connection is None

    until(lambda: runtime().call(gone), "the end of the killed client's connection")


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "at once"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("qos", "stage"), [
    (1, "half a PUBLISH"), (1, "PUBLISH sent"),
    (2, "half a PUBLISH"), (2, "PUBLISH sent"), (2, "PUBREC received"), (2, "PUBREL sent"),
])
def test_a_sender_is_killed(broker: InProcessBroker, address: tuple[str, int], tmp_path: Path, qos: int,
                            stage: str, protocol: int, noticed: bool) -> None:
    with Plain(address) as observer:
        observer.connect("observer")
        observer.subscribe(SEND_TOPIC, 2)
        with Victim(address, protocol, tmp_path / "none", "send", str(qos), stage) as victim:
            victim.expect("here")
            victim.kill()
        if noticed:
            let_the_broker_notice(broker)
        with Plain(address, protocol) as client:
            assert client.connect(CLIENT_ID, clean_start=False, expiry=EXPIRY)
            # [MQTT-4.4.0-1] what is not acknowledged is sent again, with its Packet Identifier.
            again = Publish(SEND_TOPIC, b"one", qos, dup=True, packet_id=7)
            if qos == 1:
                client.send(again)
                assert client.expect(Puback).packet_id == 7
            else:
                if stage in ("half a PUBLISH", "PUBLISH sent"):
                    client.send(again)
                    assert client.expect(Pubrec).packet_id == 7
                client.send(Pubrel(7))
                assert client.expect(Pubcomp).packet_id == 7
            client.deliver(Publish(SEND_TOPIC, b"two", 2, packet_id=8))
            client.nothing_more()
        copies = [observer.take().payload]
        while copies[-1] != b"two":
            copies.append(observer.take().payload)
        observer.nothing_more()
    if qos == 2 or stage == "half a PUBLISH":
        assert copies == [b"one", b"two"]
    else:
        # At least once: the first copy, if it came through, and the one that was sent again.
        assert copies in ([b"one", b"two"], [b"one", b"one", b"two"])


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "at once"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("qos", "stage"), [
    (1, "PUBLISH received"), (2, "PUBLISH received"), (2, "PUBREC sent"), (2, "PUBREL received"),
])
def test_a_receiver_is_killed(broker: InProcessBroker, address: tuple[str, int], tmp_path: Path, qos: int,
                              stage: str, protocol: int, noticed: bool) -> None:
    with Plain(address) as publisher:
        publisher.connect("publisher")
        with Victim(address, protocol, tmp_path / "none", "take", str(qos), stage) as victim:
            victim.expect("subscribed")
            publisher.deliver(Publish(TAKE_TOPIC, b"one", 2, packet_id=1))
            number = int(victim.line())
            victim.expect("here")
            victim.kill()
        if noticed:
            let_the_broker_notice(broker)
        publisher.deliver(Publish(TAKE_TOPIC, b"two", 2, packet_id=2))
        with Plain(address, protocol) as client:
            assert client.connect(CLIENT_ID, clean_start=False, expiry=EXPIRY)
            first = client.receive()
            if isinstance(first, Publish):
                # PUBREC may have been lost with the process; it cannot have been before it was sent.
                assert stage in ("PUBLISH received", "PUBREC sent"), stage
                # [MQTT-3.3.1-1] "The DUP flag MUST be set to 1 ... when it attempts to re-deliver".
                assert (first.payload, first.qos, first.dup, first.packet_id) == (b"one", qos, True, number)
                if qos == 1:
                    client.send(Puback(number))
                else:
                    client.send(Pubrec(number))
            else:
                # [MQTT-4.3.3-6] no PUBLISH once PUBREL was sent: PUBREL alone comes again.
                assert stage in ("PUBREC sent", "PUBREL received"), stage
                assert first == Pubrel(number)
                client.send(Pubcomp(number))
            rest: list[Publish] = []
            while not rest or rest[-1].payload != b"two":
                packet = client.receive()
                if isinstance(packet, Pubrel):
                    client.send(Pubcomp(packet.packet_id))
                else:
                    assert isinstance(packet, Publish), packet
                    rest.append(packet)
            assert [packet.payload for packet in rest] == [b"two"]
            # Where the broker had not noticed yet, "two" had been on its way to the killed process.
            assert not (noticed and rest[0].dup)
            last = rest[0].packet_id
            assert last is not None
            client.send(Puback(last) if qos == 1 else Pubrec(last))
            if qos == 2:
                packet = client.receive()
                if packet == Pubrel(number):
                    client.send(Pubcomp(number))
                    packet = client.receive()
                assert packet == Pubrel(last)
                client.send(Pubcomp(last))
            client.nothing_more()


def lifetimes(seed: int) -> list[float]:
    """Seconds between the first sign of life and the death of each process but the last."""
    rng = random.Random(seed)
    return [rng.uniform(0.005, 0.08) for _ in range(6)]


def wait_for_growth(journal: Path, meanwhile: Callable[[], None] = lambda: time.sleep(0.005)) -> None:
    """Until the process does its work."""
    size, deadline = _size(journal), time.monotonic() + PATIENCE
    while _size(journal) == size:
        assert time.monotonic() < deadline, "the process does not come to life"
        meanwhile()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_of_a_sender_that_is_killed_again_and_again(
        address: tuple[str, int], tmp_path: Path, protocol: int) -> None:
    journal = tmp_path / "journal"
    with Plain(address) as observer:
        observer.connect("observer")
        observer.subscribe(SEND_TOPIC, 2)
        for lifetime in lifetimes(1):
            with Victim(address, protocol, journal, "send-all", ENDLESS) as victim:
                wait_for_growth(journal)
                # Not for a state to come about: the moment of death is meant to be any.
                time.sleep(lifetime)
                victim.kill()
        total = journal.read_text().count("begun") + 100
        with Victim(address, protocol, journal, "send-all", str(total)) as last:
            found = [observer.take().payload for _ in range(total)]
            last.expect("done")
        observer.nothing_more()
    assert found == [payload(number) for number in range(1, total + 1)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_to_a_receiver_that_is_killed_again_and_again(
        address: tuple[str, int], tmp_path: Path, protocol: int) -> None:
    journal, sent = tmp_path / "journal", 0
    with Plain(address, protocol) as client:
        client.connect(CLIENT_ID, clean_start=False, expiry=EXPIRY)
        client.subscribe(TAKE_TOPIC, 2)
    with Plain(address) as publisher:
        publisher.connect("publisher")

        def one_more() -> None:
            nonlocal sent
            sent += 1
            publisher.deliver(Publish(TAKE_TOPIC, payload(sent), 2, packet_id=1))

        for lifetime in lifetimes(2):
            with Victim(address, protocol, journal, "take-all", ENDLESS) as victim:
                wait_for_growth(journal, one_more)
                deadline = time.monotonic() + lifetime
                while time.monotonic() < deadline:
                    one_more()
                victim.kill()
        total = sent + 100
        with Victim(address, protocol, journal, "take-all", str(total)) as last:
            while sent < total:
                one_more()
            last.expect("done")
    rows = [line.split(maxsplit=2) for line in journal.read_text().splitlines()]
    taken = [row[2].encode() for row in rows if row[0] == "taken"]
    assert taken == [payload(number) for number in range(1, total + 1)]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
