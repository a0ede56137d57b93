"""The Session State of a client by plain calls: no connection, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from mqttsec.errors import ConnectionFailed, MqttsecError, ProtocolError
from mqttsec.mqtt5.client_session import LARGEST_PACKET_ID, ClientSession, Delivery
from mqttsec.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel


def submit(session: ClientSession, *messages: Publish) -> list[Any]:
    outcomes: list[Any] = []
    for message in messages:
        session.submit(Delivery(message, outcomes.append))
    return outcomes


def test_at_qos_1_a_puback_ends_the_delivery() -> None:
    session = ClientSession()
    outcomes = submit(session, Publish("t", b"1", 1))
    (sent,) = session.ready()
    assert (sent.packet_id, sent.dup) == (1, False)
    assert session.acknowledged(Puback(1, 0x10)) is None
    assert outcomes == [0x10]
    assert session.unfinished == 0


def test_at_qos_2_pubrel_follows_pubrec_and_pubcomp_ends_it() -> None:
    session = ClientSession()
    outcomes = submit(session, Publish("t", b"1", 2))
    list(session.ready())
    assert session.acknowledged(Pubrec(1)) == Pubrel(1)
    assert outcomes == []
    # A second PUBREC gets a second PUBREL: the first may have been lost.
    assert session.acknowledged(Pubrec(1)) == Pubrel(1)
    session.acknowledged(Pubcomp(1))
    assert outcomes == [0]


def test_a_pubcomp_of_0x92_after_a_broken_connection_is_success() -> None:
    session = ClientSession()
    outcomes = submit(session, Publish("t", b"1", 2))
    list(session.ready())
    session.acknowledged(Pubrec(1))
    assert session.resume(send_maximum=10) == [Pubrel(1)]
    session.acknowledged(Pubcomp(1, 0x92))
    assert outcomes == [0]


def test_a_pubrec_that_refuses_ends_it_without_pubrel() -> None:
    """[MQTT-4.3.3-4]"""
    session = ClientSession()
    outcomes = submit(session, Publish("t", b"1", 2))
    list(session.ready())
    assert session.acknowledged(Pubrec(1, 0x97)) is None
    assert outcomes == [0x97]


def test_a_pubrec_for_an_unknown_message_is_answered_with_0x92() -> None:
    assert ClientSession().acknowledged(Pubrec(7)) == Pubrel(7, 0x92)


@pytest.mark.parametrize(("qos", "answer"), [(1, Pubrec(1)), (2, Puback(1))])
def test_the_wrong_kind_of_answer_is_a_protocol_error(qos: int, answer: Puback | Pubrec) -> None:
    session = ClientSession()
    submit(session, Publish("t", b"", qos))
    list(session.ready())
    with pytest.raises(ProtocolError):
        session.acknowledged(answer)


def test_the_send_quota_holds_messages_back_in_their_order() -> None:
    """[MQTT-4.9.0-2]"""
    session = ClientSession()
    session.begin(send_maximum=2)
    submit(session, *(Publish("t", bytes([n]), 1 + n % 2) for n in range(5)))
    first = list(session.ready())
    assert [m.payload for m in first] == [b"\0", b"\1"]
    assert list(session.ready()) == []
    session.acknowledged(Pubrec(2))
    # PUBREC alone frees nothing, PUBCOMP does.
    assert list(session.ready()) == []
    session.acknowledged(Pubcomp(2))
    assert [m.payload for m in session.ready()] == [b"\2"]
    session.acknowledged(Puback(1))
    assert [m.payload for m in session.ready()] == [b"\3"]


def test_a_resumed_session_repeats_what_is_unacknowledged_with_its_identifiers_and_dup() -> None:
    """[MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.6.0-1], [MQTT-4.6.0-4]"""
    session = ClientSession()
    submit(session, *(Publish("t", bytes([n]), 2) for n in range(4)))
    list(session.ready())
    session.acknowledged(Pubrec(3))
    session.acknowledged(Pubrec(1))
    assert session.resume(send_maximum=10) == [Pubrel(3), Pubrel(1)]
    again = list(session.ready())
    assert [(m.packet_id, m.dup) for m in again] == [(2, True), (4, True)]
    # At no other time: the same connection repeats nothing.
    assert list(session.ready()) == []


def test_what_is_repeated_counts_against_the_new_servers_quota() -> None:
    session = ClientSession()
    submit(session, *(Publish("t", bytes([n]), 1) for n in range(3)))
    list(session.ready())
    session.resume(send_maximum=1)
    assert [m.packet_id for m in session.ready()] == [1]
    session.acknowledged(Puback(1))
    assert [m.packet_id for m in session.ready()] == [2]


def test_discarding_ends_deliveries_with_the_reason_and_keeps_what_was_never_sent() -> None:
    session = ClientSession()
    session.begin(send_maximum=1)
    outcomes = submit(session, Publish("t", b"sent", 1), Publish("t", b"waiting", 1))
    list(session.ready())
    why = ConnectionFailed("gone")
    session.discard(why)
    assert outcomes == [why]
    session.begin(send_maximum=1)
    assert [m.payload for m in session.ready()] == [b"waiting"]


def test_packet_identifiers_in_use_are_skipped_and_never_zero() -> None:
    """[MQTT-2.2.1-3]"""
    session = ClientSession()
    session.begin(send_maximum=LARGEST_PACKET_ID)
    first = session.reserve()
    seen = set()
    for _ in range(LARGEST_PACKET_ID - 1):
        number = session.reserve()
        seen.add(number)
        session.free(number)
    assert seen == set(range(2, LARGEST_PACKET_ID + 1))
    assert session.reserve() != first


def test_with_all_identifiers_in_use_there_is_an_error_instead_of_a_second_use() -> None:
    session = ClientSession()
    assert {session.reserve() for _ in range(LARGEST_PACKET_ID)} == set(range(1, LARGEST_PACKET_ID + 1))
    with pytest.raises(MqttsecError, match="in use"):
        session.reserve()
    session.free(4711)
    assert session.reserve() == 4711


def test_a_qos_2_message_is_handed_on_once_however_often_it_comes() -> None:
    """[MQTT-4.3.3-10]"""
    session = ClientSession()
    message = Publish("t", b"m", 2, packet_id=9)
    assert session.receive(message) == (True, None)
    assert session.acknowledge(message) == Pubrec(9)
    repeated = Publish("t", b"m", 2, packet_id=9, dup=True)
    assert session.receive(repeated) == (False, Pubrec(9))
    # The connection changes, the session stays.
    session.resume(send_maximum=10)
    assert session.receive(repeated) == (False, Pubrec(9))
    assert session.release(Pubrel(9)) == Pubcomp(9)
    # [MQTT-4.3.3-12] after PUBCOMP the same Packet Identifier is a new message.
    assert session.receive(Publish("t", b"new", 2, packet_id=9)) == (True, None)


def test_a_qos_2_message_not_yet_acknowledged_by_hand_is_not_handed_on_again() -> None:
    session = ClientSession()
    message = Publish("t", b"m", 2, packet_id=9)
    session.receive(message)
    session.resume(send_maximum=10)
    assert session.receive(Publish("t", b"m", 2, packet_id=9, dup=True)) == (False, None)
    assert session.acknowledge(message) == Pubrec(9)


def test_a_pubrel_for_nothing_is_answered_with_0x92() -> None:
    assert ClientSession().release(Pubrel(5)) == Pubcomp(5, 0x92)


def test_a_message_is_acknowledged_once_and_on_its_connection() -> None:
    session = ClientSession()
    message = Publish("t", b"m", 1, packet_id=3)
    session.receive(message)
    session.begin(send_maximum=10)
    with pytest.raises(MqttsecError, match="connection has changed"):
        session.acknowledge(message)
    again = Publish("t", b"m", 1, packet_id=3, dup=True)
    assert session.receive(again) == (True, None)
    assert session.acknowledge(again, 0x10) == Puback(3, 0x10)
    with pytest.raises(MqttsecError):
        session.acknowledge(again)
    with pytest.raises(MqttsecError, match="QoS 0"):
        session.acknowledge(Publish("t"))


def test_more_than_receive_maximum_is_refused_with_0x93() -> None:
    """[MQTT-3.3.4-9] binds the Server; the Client answers with 0x93 (3.3.4)."""
    session = ClientSession(receive_maximum=2)
    one, two = (Publish("t", b"", qos, packet_id=qos) for qos in (1, 2))
    session.receive(one)
    session.receive(two)
    with pytest.raises(ProtocolError) as caught:
        session.receive(Publish("t", b"", 1, packet_id=3))
    assert caught.value.reason_code == 0x93
    session = ClientSession(receive_maximum=1)
    session.receive(two)
    session.acknowledge(two)
    with pytest.raises(ProtocolError):
        session.receive(Publish("t", b"", 1, packet_id=3))
    session.release(Pubrel(2))
    session.begin(10)
    assert session.receive(Publish("t", b"", 1, packet_id=3)) == (True, None)
