"""`Outbox`: what a session owes its client, driven by hand and against a model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5.message import Form, Message, forwarded
from mqttsec.mqtt5.outbox import RELEASED, Delivery, Outbox, pubrel
from mqttsec.packets import MQTT_3_1_1, MQTT_5, Properties, Publish, Pubrel, Splitter, decode


def owed(payload: str, qos: int = 1, expiry: int | None = None, protocol: int = MQTT_5) -> Delivery:
    properties = forwarded(Properties(message_expiry_interval=expiry))
    message = Message("t", payload.encode(), qos, False, properties, "p", 0.0)
    return Delivery(message, Form(protocol, qos, False))


class Desk:
    """An outbox and what it wrote."""

    def __init__(self, window: int) -> None:
        self.outbox = Outbox()
        self.outbox.resume(window)
        self.now = 0.0
        self.too_large: set[bytes] = set()
        self._bytes: list[bytes] = []

    def encode(self, delivery: Delivery) -> tuple[bytes, bytes] | None:
        if delivery.message.payload in self.too_large:
            return None
        return delivery.message.parts_after(delivery.form, self.now)

    def send(self, *deliveries: Delivery) -> list[bool]:
        return [
            self.outbox.send(item, *item.message.parts(item.form), self._bytes.append) for item in deliveries
        ]

    def pump(self) -> None:
        self.outbox.pump(self._bytes.append, self.encode, self.now)

    def written(self, protocol: int = MQTT_5) -> list[str]:
        """What was written since the last look: "1:a" is payload a, Packet Identifier 1; "1:a!" with DUP."""
        frames = Splitter().feed(b"".join(self._bytes))
        self._bytes.clear()
        said = []
        for frame in frames:
            packet = decode(frame, protocol, from_client=False)
            if isinstance(packet, Publish):
                said.append(f"{packet.packet_id}:{packet.payload.decode()}{'!' if packet.dup else ''}")
            else:
                assert isinstance(packet, Pubrel)
                said.append(f"{packet.packet_id}:pubrel")
        return said


def test_the_window_bounds_what_is_unacknowledged_and_the_order_stays() -> None:
    desk = Desk(2)
    assert desk.send(owed("a"), owed("b"), owed("c"), owed("d")) == [True, True, False, False]
    assert desk.written() == ["1:a", "2:b"]
    desk.outbox.puback(2)
    desk.pump()
    assert desk.written() == ["3:c"]
    # [MQTT-4.6.0-6]: what comes now must not overtake what waits.
    assert desk.send(owed("e")) == [False]
    desk.outbox.puback(1)
    desk.outbox.puback(3)
    desk.pump()
    assert desk.written() == ["4:d", "5:e"]
    assert (desk.outbox.queued, desk.outbox.queued_bytes) == (0, 0)


def test_a_queued_message_is_not_overtaken_even_when_the_window_is_free() -> None:
    desk = Desk(1)
    desk.send(owed("a"), owed("b"))
    desk.outbox.puback(1)
    assert desk.send(owed("c")) == [False]
    desk.pump()
    assert desk.written() == ["1:a", "2:b"]


def test_packet_identifiers_go_round_and_skip_those_in_use() -> None:
    desk = Desk(65_535)
    desk.send(owed("first"))
    for index in range(65_534):
        desk.send(owed("x"))
        desk.outbox.puback(index + 2)
    desk.written()
    desk.send(owed("second"), owed("third"))
    assert desk.written() == ["2:second", "3:third"]


def test_with_all_identifiers_in_use_the_next_message_waits() -> None:
    desk = Desk(65_535)
    assert all(desk.send(*(owed("x") for _ in range(65_535))))
    assert desk.send(owed("y")) == [False]
    desk.outbox.puback(77)
    desk.written()
    desk.pump()
    assert desk.written() == ["77:y"]


def test_resume_sends_again_in_order_with_dup_and_the_same_identifiers() -> None:
    # [MQTT-4.4.0-1]
    desk = Desk(10)
    desk.send(owed("a"), owed("b", 2), owed("c", 2), owed("d"))
    assert desk.outbox.pubrec(2, 0) == pubrel(2)
    desk.outbox.puback(1)
    desk.outbox.enqueue(owed("e"))
    desk.written()
    desk.outbox.resume(10)
    desk.pump()
    assert desk.written() == ["2:pubrel", "3:c!", "4:d!", "5:e"]
    desk.outbox.pubcomp(2)
    desk.outbox.pubrec(3, 0)
    desk.outbox.pubcomp(3)
    desk.outbox.puback(4)
    desk.outbox.puback(5)
    assert not desk.outbox.inflight


def test_nothing_is_sent_again_but_after_a_reconnect() -> None:
    desk = Desk(2)
    desk.send(owed("a"))
    desk.written()
    desk.pump()
    desk.pump()
    assert desk.written() == []


def test_a_smaller_window_after_the_reconnect_holds_for_the_resent_too() -> None:
    desk = Desk(3)
    desk.send(owed("a"), owed("b"), owed("c"), owed("d"))
    desk.written()
    desk.outbox.resume(1)
    desk.pump()
    assert desk.written() == ["1:a!"]
    for number, following in ((1, ["2:b!"]), (2, ["3:c!"]), (3, ["4:d"]), (4, [])):
        desk.outbox.puback(number)
        desk.pump()
        assert desk.written() == following


def test_an_acknowledgement_of_what_was_not_resent_yet_does_not_widen_the_window() -> None:
    desk = Desk(3)
    desk.send(owed("a"), owed("b"), owed("c"), owed("d"), owed("e"))
    desk.written()
    desk.outbox.resume(1)
    desk.pump()
    desk.outbox.puback(2)
    desk.pump()
    assert desk.written() == ["1:a!"]
    desk.outbox.puback(1)
    desk.pump()
    assert desk.written() == ["3:c!"]


def test_two_reconnects_without_acknowledgements_resend_once_each() -> None:
    desk = Desk(5)
    desk.send(owed("a"), owed("b"))
    desk.outbox.enqueue(owed("c"))
    desk.written()
    desk.outbox.resume(5)
    desk.outbox.resume(5)
    desk.pump()
    assert desk.written() == ["1:a!", "2:b!", "3:c"]


@pytest.mark.parametrize("code", [0x80, 0x87, 0x97])
def test_a_pubrec_that_refuses_ends_the_delivery(code: int) -> None:
    desk = Desk(1)
    desk.send(owed("a", 2), owed("b", 2))
    assert desk.outbox.pubrec(1, code) == b""
    desk.pump()
    assert desk.written() == ["1:a", "2:b"]


def test_a_pubrec_without_a_delivery_is_answered_by_pubrel_0x92() -> None:
    assert Outbox().pubrec(7, 0) == b"\x62\x03\x00\x07\x92"


def test_a_second_pubrec_is_answered_by_the_same_pubrel() -> None:
    desk = Desk(1)
    desk.send(owed("a", 2))
    assert desk.outbox.pubrec(1, 0) == desk.outbox.pubrec(1, 0) == b"\x62\x02\x00\x01"
    assert desk.outbox.inflight == {1: RELEASED}


def test_unknown_acknowledgements_are_ignored() -> None:
    desk = Desk(1)
    desk.outbox.puback(9)
    desk.outbox.pubcomp(9)
    assert desk.send(owed("a"), owed("b")) == [True, False]


@pytest.mark.parametrize(
    ("qos", "received", "wrong"),
    [
        (2, False, lambda outbox: outbox.puback(1)),
        (2, True, lambda outbox: outbox.puback(1)),
        (1, False, lambda outbox: outbox.pubrec(1, 0)),
        (2, False, lambda outbox: outbox.pubcomp(1)),
        (1, False, lambda outbox: outbox.pubcomp(1)),
    ],
)
def test_an_acknowledgement_of_the_wrong_kind_is_a_protocol_error(
    qos: int, received: bool, wrong: object
) -> None:
    desk = Desk(1)
    desk.send(owed("a", qos))
    if received:
        desk.outbox.pubrec(1, 0)
    before = dict(desk.outbox.inflight)
    with pytest.raises(ProtocolError):
        wrong(desk.outbox)  # type: ignore[operator]
    assert desk.outbox.inflight == before


def test_expired_and_too_large_messages_are_given_up_in_the_queue() -> None:
    desk = Desk(1)
    desk.send(owed("a"), owed("old", expiry=5), owed("huge"), owed("young", expiry=50))
    desk.too_large = {b"huge"}
    desk.now = 10.0
    desk.outbox.puback(1)
    desk.pump()
    assert desk.written() == ["1:a", "2:young"]
    assert desk.outbox.dropped == 2
    assert desk.outbox.queued_bytes == 0


def test_what_is_too_large_for_the_new_connection_is_given_up_when_it_would_be_resent() -> None:
    # [MQTT-3.1.2-25] "behave as if it had completed sending that Application Message".
    desk = Desk(2)
    desk.send(owed("huge"), owed("b"), owed("c"))
    desk.written()
    desk.too_large = {b"huge"}
    desk.outbox.resume(1)
    desk.pump()
    assert desk.written() == ["2:b!"]
    assert list(desk.outbox.inflight) == [2]


def test_drop_newest_keeps_the_oldest_and_never_what_is_in_flight() -> None:
    desk = Desk(1)
    desk.send(owed("a"), owed("bb"), owed("ccc"))
    desk.outbox.drop_newest()
    assert (desk.outbox.queued, desk.outbox.queued_bytes, desk.outbox.dropped) == (1, 2, 1)
    desk.outbox.drop_newest()
    desk.outbox.drop_newest()
    assert desk.outbox.dropped == 2
    desk.outbox.resume(1)
    desk.outbox.drop_newest()
    desk.written()
    desk.pump()
    assert desk.written() == ["1:a!"]


def test_what_waits_is_encoded_for_the_protocol_of_the_new_connection() -> None:
    desk = Desk(1)
    desk.send(owed("a"), owed("b"))
    desk.written()
    desk.outbox.adopt_protocol(MQTT_3_1_1)
    desk.outbox.resume(5)
    desk.pump()
    assert desk.written(MQTT_3_1_1) == ["1:a!", "2:b"]


def test_clear_forgets_everything() -> None:
    desk = Desk(1)
    desk.send(owed("a"), owed("b"))
    desk.outbox.clear()
    desk.written()
    desk.outbox.resume(1)
    desk.pump()
    assert desk.written() == []
    assert (desk.outbox.queued, desk.outbox.queued_bytes) == (0, 0)


class OutboxAgainstClient(RuleBasedStateMachine):
    """Any run of sends, answers and reconnects: exactly once, in order, within the window."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(3)
        self.window = 3
        self.sent: list[str] = []
        self.got: list[str] = []
        self.open: dict[int, str] = {}  # what this connection brought and was not completed
        self.received: set[int] = set()  # QoS 2 identifiers that the client has stored
        self.done: set[str] = set()

    def read(self) -> None:
        for said in self.desk.written():
            number, _, what = said.partition(":")
            packet_id = int(number)
            if what == "pubrel":
                assert packet_id in self.received
                self.open[packet_id] = "pubrel"
                continue
            dup = what.endswith("!")
            payload = what.rstrip("!")
            assert dup == (payload in self.got), "DUP says exactly that it was sent before"
            if not dup:
                self.got.append(payload)
            self.open[packet_id] = payload
        assert len(self.open) <= self.window

    @rule(qos=st.sampled_from([1, 2]))
    def send(self, qos: int) -> None:
        payload = f"{'abc'[qos]}{len(self.sent)}"
        self.sent.append(payload)
        self.desk.send(owed(payload, qos))
        self.read()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        packet_id = data.draw(st.sampled_from(sorted(self.open)))
        what = self.open[packet_id]
        outbox = self.desk.outbox
        if what == "pubrel":
            outbox.pubcomp(packet_id)
            self.received.discard(packet_id)
            del self.open[packet_id]
        elif what[0] == "b":
            outbox.puback(packet_id)
            del self.open[packet_id]
        else:
            assert outbox.pubrec(packet_id, 0) == pubrel(packet_id)
            self.received.add(packet_id)
            self.open[packet_id] = "pubrel"
        self.desk.pump()
        self.read()

    @rule(window=st.integers(1, 4))
    def reconnect(self, window: int) -> None:
        self.window = window
        self.open.clear()
        self.desk.outbox.resume(window)
        self.desk.pump()
        self.read()

    @invariant()
    def order_is_kept(self) -> None:
        assert self.got == self.sent[: len(self.got)]

    def teardown(self) -> None:
        for _ in range(1000):
            if not self.open:
                break
            packet_id = min(self.open)
            what = self.open.pop(packet_id)
            if what == "pubrel":
                self.desk.outbox.pubcomp(packet_id)
                self.received.discard(packet_id)
            elif what[0] == "b":
                self.desk.outbox.puback(packet_id)
            else:
                self.desk.outbox.pubrec(packet_id, 0)
                self.received.add(packet_id)
                self.open[packet_id] = "pubrel"
            self.desk.pump()
            self.read()
        assert self.got == self.sent, "every message arrives once all is answered"
        assert not self.desk.outbox.inflight
        assert (self.desk.outbox.queued, self.desk.outbox.queued_bytes) == (0, 0)


TestOutboxAgainstClient = OutboxAgainstClient.TestCase
TestOutboxAgainstClient.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
