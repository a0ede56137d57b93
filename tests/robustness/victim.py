"""A client process that is made to be killed: it says where it is, and keeps a journal on disk.

    python -m tests.robustness.victim PORT PROTOCOL JOURNAL send 2 PUBREC
    python -m tests.robustness.victim PORT PROTOCOL JOURNAL take 2 PUBREL
    python -m tests.robustness.victim PORT PROTOCOL JOURNAL send-all 500
    python -m tests.robustness.victim PORT PROTOCOL JOURNAL take-all 500

`send` and `take` do one QoS hand-shake up to a stage, say `here` and wait to be killed. The `-all`
forms go through a whole stream and pick up where their journal ends: a client that loses nothing
when it is killed, if only the broker keeps its word.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import NoReturn

from mqttsec.packets import Pubcomp, Publish, Pubrec, Pubrel, encode
from tests.robustness.sockets import Plain

CLIENT_ID = "victim"
SEND_TOPIC = "from/victim"
TAKE_TOPIC = "to/victim"
EXPIRY = 3600
WINDOW = 8
"""Unfinished QoS 2 publications of the stream."""


def say(text: str) -> None:
    """One line to the test."""
    print(text, flush=True)


def here() -> NoReturn:
    """Tell the test that it may kill."""
    say("here")
    while True:
        signal.pause()


def payload(number: int) -> bytes:
    """Payload number `number` of a stream."""
    return f"message {number}".encode()


def send(client: Plain, qos: int, stage: str) -> NoReturn:
    """Publish one message up to a stage of the hand-shake."""
    publish = Publish(SEND_TOPIC, b"one", qos, packet_id=7)
    if stage == "half a PUBLISH":
        client.socket.sendall(encode(publish, client.protocol)[:-2])
        here()
    client.send(publish)
    if stage == "PUBLISH sent":
        here()
    client.expect(Pubrec)
    if stage == "PUBREC received":
        here()
    client.send(Pubrel(7))
    here()


def take(client: Plain, qos: int, stage: str) -> NoReturn:
    """Receive one message up to a stage of the hand-shake; says its Packet Identifier."""
    client.subscribe(TAKE_TOPIC, qos)
    say("subscribed")
    number = client.expect(Publish).packet_id
    assert number is not None
    say(str(number))
    if stage == "PUBLISH received":
        here()
    client.send(Pubrec(number))
    if stage == "PUBREC sent":
        here()
    client.expect(Pubrel)
    here()


class Journal:
    """Lines `word number...` in a file, each written with one system call: what is there survives a kill."""

    def __init__(self, path: Path) -> None:
        self.lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        self._file = path.open("ab", buffering=0)

    def write(self, *words: object) -> None:
        """Add a line."""
        self._file.write((" ".join(map(str, words)) + "\n").encode())


def send_all(client: Plain, journal: Journal, count: int) -> None:
    """Publish messages 1 to `count` at QoS 2, going on where the journal ends [MQTT-4.4.0-1]."""
    unfinished: dict[int, tuple[int, bool]] = {}
    begun = 0
    for word, number, packet_id in ((row[0], int(row[1]), int(row[2])) for row in journal.lines):
        if word == "begun":
            begun = number
            unfinished[packet_id] = (number, False)
        elif word == "received":
            unfinished[packet_id] = (number, True)
        else:
            del unfinished[packet_id]
    for packet_id, (number, received) in unfinished.items():
        client.send(Pubrel(packet_id) if received
                    else Publish(SEND_TOPIC, payload(number), 2, dup=True, packet_id=packet_id))
    while begun < count or unfinished:
        while begun < count and len(unfinished) < WINDOW:
            begun += 1
            packet_id = (begun - 1) % 100 + 1
            journal.write("begun", begun, packet_id)
            unfinished[packet_id] = (begun, False)
            client.send(Publish(SEND_TOPIC, payload(begun), 2, packet_id=packet_id))
        packet = client.receive()
        assert isinstance(packet, (Pubrec, Pubcomp)), packet
        number = unfinished[packet.packet_id][0]
        if isinstance(packet, Pubrec):
            journal.write("received", number, packet.packet_id)
            unfinished[packet.packet_id] = (number, True)
            client.send(Pubrel(packet.packet_id))
        else:
            journal.write("complete", number, packet.packet_id)
            del unfinished[packet.packet_id]


def take_all(client: Plain, journal: Journal, count: int) -> None:
    """Receive `count` messages at QoS 2, subscribed to before; the journal holds each delivery once."""
    held: set[int] = set()
    taken = 0
    for row in journal.lines:
        if row[0] == "taken":
            held.add(int(row[1]))
            taken += 1
        else:
            held.discard(int(row[1]))
    while taken < count or held:
        packet = client.receive()
        if isinstance(packet, Publish):
            number = packet.packet_id
            assert number is not None
            if number not in held:
                # Delivered and remembered in one step, so that no kill comes between the two.
                journal.write("taken", number, packet.payload.decode())
                held.add(number)
                taken += 1
            client.send(Pubrec(number))
        else:
            assert isinstance(packet, Pubrel), packet
            journal.write("released", packet.packet_id)
            held.discard(packet.packet_id)
            client.send(Pubcomp(packet.packet_id))


def main() -> None:
    """Play the part that the command line names."""
    port, protocol, path, part, *rest = sys.argv[1:]
    client = Plain(("127.0.0.1", int(port)), int(protocol))
    client.connect(CLIENT_ID, clean_start=False, expiry=EXPIRY)
    if part == "send":
        send(client, int(rest[0]), rest[1])
    elif part == "take":
        take(client, int(rest[0]), rest[1])
    elif part == "send-all":
        send_all(client, Journal(Path(path)), int(rest[0]))
    else:
        take_all(client, Journal(Path(path)), int(rest[0]))
    say("done")


if __name__ == "__main__":
    main()
