"""Wireshark's own MQTT dissector reads our captures and finds in them what we put there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
    Will,
)
from mqttsec.trace import Event, EventKind, arrows, seen_on_network, write_capture
from tests.peers import require_peer
from tests.trace.runs import BROKER, Script, weather

pytestmark = pytest.mark.interop

CHAT, NOTE, WARN = str(0x200000), str(0x400000), str(0x600000)
"""Wireshark's PI_CHAT, PI_NOTE and PI_WARN: severities of its expert information."""

UP, DOWN = ("alice", BROKER), (BROKER, "alice")
SCRAM = Properties(authentication_method="SCRAM-SHA-256", authentication_data=b"n,,n=lab,r=abc")


def dissect(events: Iterable[Event], folder: Path) -> list[dict[str, list[str]]]:
    """What tshark says: for each MQTT packet a dict from field to the values it has there, in order."""
    file = folder / "run.pcap"
    write_capture(events, file)
    command = [require_peer("tshark"), "-r", str(file), "-T", "json", "--no-duplicate-keys"]
    command += ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    packets = []
    for frame in json.loads(done.stdout):
        layers = frame["_source"]["layers"]
        text = json.dumps(layers)
        # The flags of TCP analysis stand for gaps, retransmissions, segments out of order and the like.
        for trouble in (
            "_ws.malformed", "tcp.analysis.flags", "mqtt.illegal", "mqtt.unknown", "mqtt.prop_unknown",
        ):  # fmt: skip
            assert trouble not in text, text
        # Wireshark remarks upon every SYN and FIN; a warning or an error would be trouble. Only of binary
        # data, which it shows as text, it says that the text goes on after a zero byte.
        found = fields(layers)
        zero_bytes = found.get("_ws.expert.message", []).count("Trailing stray characters")
        remarks = [each for each in found.get("_ws.expert.severity", []) if each not in (CHAT, NOTE)]
        assert remarks == [WARN] * zero_bytes, text
        assert fields(layers["ip"])["ip.checksum.status"] == ["1"]
        assert fields(layers["tcp"])["tcp.checksum.status"] == ["1"]
        if "mqtt" in layers:
            packets.append(fields(layers["mqtt"]))
    return packets


def fields(tree: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}

    def walk(name: str, node: object) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(key, value)
        elif isinstance(node, list):
            for value in node:
                walk(name, value)
        else:
            found.setdefault(name, []).append(str(node))

    walk("", tree)
    return found


CONNECT = Connect(
    "alice", keep_alive=30, username="lab", password=b"hunter2",
    will=Will("status/alice", b"gone", 1, True, Properties(will_delay_interval=5, content_type="text/plain")),
    properties=Properties(
        session_expiry_interval=3600, receive_maximum=20, maximum_packet_size=100_000, topic_alias_maximum=8,
        request_response_information=1, user_property=(("lab", "01"), ("lab", "02")),
        authentication_method="SCRAM-SHA-256", authentication_data=b"n,,n=lab,r=abc",
    ),
)  # fmt: skip
PUBLISH = Publish(
    "site/seattle", b'{"temp": 12.8}', 2, True, False, 7,
    Properties(
        payload_format_indicator=1, message_expiry_interval=60, topic_alias=3, response_topic="re/ply",
        correlation_data=b"\x01\x02", content_type="application/json", user_property=(("unit", "°C"),),
    ),
)  # fmt: skip

PROPERTIES_OF_CONNECT = "0x11 0x15 0x16 0x19 0x21 0x22 0x26 0x26 0x27 0x03 0x18".split()

CONVERSATION_5: list[tuple[tuple[str, str], Packet, dict[str, list[str]]]] = [
    (UP, CONNECT, {
        "mqtt.ver": ["5"], "mqtt.clientid": ["alice"], "mqtt.kalive": ["30"], "mqtt.username": ["lab"],
        "mqtt.passwd": ["hunter2"], "mqtt.willtopic": ["status/alice"], "mqtt.willmsg": ["67:6f:6e:65"],
        "mqtt.conflag.qos": ["1"], "mqtt.conflag.retain": ["1"], "mqtt.conflag.cleansess": ["1"],
        "mqtt.prop_key": ["lab", "lab"], "mqtt.prop_value": ["01", "02"],
        "mqtt.prop_string": ["SCRAM-SHA-256", "n,,n=lab,r=abc"],
        "mqtt.property.content_type": ["text/plain"],
        "mqtt.property_id": PROPERTIES_OF_CONNECT,
    }),
    (DOWN, Auth(0x18, SCRAM), {"mqtt.auth.reason_code": ["24"], "mqtt.property_id": ["0x15", "0x16"]}),
    (UP, Auth(0x18, SCRAM), {"mqtt.auth.reason_code": ["24"]}),
    (DOWN, Connack(False, 0, Properties(
        assigned_client_identifier="x1", server_keep_alive=20, maximum_qos=1, reason_string="welcome",
        retain_available=1, wildcard_subscription_available=1, subscription_identifier_available=1,
        shared_subscription_available=0, response_information="re", server_reference="other",
    )), {"mqtt.connack.reason_code": ["0"], "mqtt.conack.flags.sp": ["0"], "mqtt.property.max_qos": ["1"]}),
    (UP, Subscribe(1, (SubscribeFilter("site/#", 1, True, True, 2), SubscribeFilter("$share/g/a", 0)),
                   Properties(subscription_identifier=(300,))), {
        "mqtt.msgid": ["1"], "mqtt.topic": ["site/#", "$share/g/a"],
        "mqtt.subscription_options_qos": ["1", "0"],
        "mqtt.subscription_options_nl": ["1", "0"], "mqtt.subscription_options_rap": ["1", "0"],
        "mqtt.subscription_options_retain": ["2", "0"], "mqtt.prop_number": ["300"],
    }),
    (DOWN, Suback(1, (1, 0x87)), {"mqtt.msgid": ["1"], "mqtt.suback.reason_code": ["1", "135"]}),
    (UP, PUBLISH, {
        "mqtt.topic": ["site/seattle"], "mqtt.qos": ["2"], "mqtt.retain": ["1"], "mqtt.dupflag": ["0"],
        "mqtt.msgid": ["7"], "mqtt.msg": [":".join(f"{byte:02x}" for byte in PUBLISH.payload)],
        "mqtt.property.topic_alias": ["3"], "mqtt.property.content_type": ["application/json"],
        "mqtt.prop_key": ["unit"], "mqtt.prop_value": ["°C"],
        "mqtt.property_id": ["0x01", "0x02", "0x03", "0x08", "0x09", "0x23", "0x26"],
    }),
    (DOWN, Pubrec(7, 0x10), {"mqtt.msgid": ["7"], "mqtt.pubrec.reason_code": ["16"]}),
    (UP, Pubrel(7, 0x92), {"mqtt.msgid": ["7"], "mqtt.pubrel.reason_code": ["146"]}),
    (DOWN, Pubcomp(7, 0x92), {"mqtt.msgid": ["7"], "mqtt.pubcomp.reason_code": ["146"]}),
    (DOWN, Publish("a", b"", 1, dup=True, packet_id=9), {"mqtt.msgid": ["9"], "mqtt.dupflag": ["1"]}),
    (UP, Puback(9, 0x80, Properties(reason_string="full")), {
        "mqtt.puback.reason_code": ["128"], "mqtt.prop_string": ["full"]}),
    (UP, Unsubscribe(2, ("site/#", "a")), {"mqtt.msgid": ["2"], "mqtt.topic": ["site/#", "a"]}),
    (DOWN, Unsuback(2, (0, 0x11)), {"mqtt.msgid": ["2"], "mqtt.unsuback.reason_code": ["0", "17"]}),
    (UP, Pingreq(), {}),
    (DOWN, Pingresp(), {}),
    (UP, Auth(0x19, SCRAM), {"mqtt.auth.reason_code": ["25"]}),
    (DOWN, Disconnect(0x8E, Properties(reason_string="taken over")), {
        "mqtt.disconnect.reason_code": ["142"], "mqtt.prop_string": ["taken over"]}),
]  # fmt: skip

CONVERSATION_4: list[tuple[tuple[str, str], Packet, dict[str, list[str]]]] = [
    (UP, Connect("alice", username="lab", password=b"pw", protocol=4), {
        "mqtt.ver": ["4"], "mqtt.clientid": ["alice"], "mqtt.passwd": ["pw"]}),
    (DOWN, Connack(True), {"mqtt.conack.val": ["0"], "mqtt.conack.flags.sp": ["1"]}),
    (UP, Subscribe(1, (SubscribeFilter("a/+", 2),)), {"mqtt.topic": ["a/+"], "mqtt.sub.qos": ["2"]}),
    (DOWN, Suback(1, (2,)), {"mqtt.suback.qos": ["2"]}),
    (UP, Publish("a/b", b"text", 2, packet_id=5), {"mqtt.topic": ["a/b"], "mqtt.msg": ["74:65:78:74"]}),
    (DOWN, Pubrec(5), {"mqtt.msgid": ["5"]}),
    (UP, Pubrel(5), {"mqtt.msgid": ["5"]}),
    (DOWN, Pubcomp(5), {"mqtt.msgid": ["5"]}),
    (DOWN, Publish("a/b", b"text", 1, packet_id=1), {"mqtt.msgid": ["1"]}),
    (UP, Puback(1), {"mqtt.msgid": ["1"]}),
    (UP, Unsubscribe(2, ("a/+",)), {"mqtt.topic": ["a/+"]}),
    (DOWN, Unsuback(2), {"mqtt.msgid": ["2"]}),
    (UP, Pingreq(), {}),
    (DOWN, Pingresp(), {}),
    (UP, Disconnect(), {}),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "conversation"), [(5, CONVERSATION_5), (4, CONVERSATION_4)])
def test_every_packet_type_reads_as_we_wrote_it(
    protocol: int,
    conversation: list[tuple[tuple[str, str], Packet, dict[str, list[str]]]],
    tmp_path: Path,
) -> None:
    script = Script(delay=0.02)
    for (sender, receiver), packet, _ in conversation:
        script.pass_on(sender, receiver, packet, protocol)
    found = dissect(script.trace, tmp_path)
    types = {packet.packet_type for _, packet, _ in conversation}
    assert types == set(PacketType) - (set() if protocol == 5 else {PacketType.AUTH})
    assert len(found) == len(conversation)
    for said, (_, packet, expected) in zip(found, conversation, strict=True):
        assert said["mqtt.msgtype"] == [str(packet.packet_type.value)]
        assert {name: said.get(name) for name in expected} == expected


@pytest.mark.parametrize("length", [65_000, 65_495, 70_000, 300_000])
def test_large_packets_are_put_together_again(length: int, tmp_path: Path) -> None:
    script = Script()
    script.pass_on("alice", BROKER, Connect("alice"))
    script.pass_on(BROKER, "alice", Connack())
    for number in (1, 2):
        script.pass_on("alice", BROKER, Publish("big", bytes([number]) * length, 1, packet_id=number))
        script.pass_on(BROKER, "alice", Puback(number))
    found = dissect(script.trace, tmp_path)
    assert [said["mqtt.msgtype"][0] for said in found] == ["1", "2", "3", "4", "3", "4"]
    for number, said in ((1, found[2]), (2, found[4])):
        assert said["mqtt.msg"] == [":".join([f"{number:02x}"] * length)]


def test_run_with_delays_losses_and_a_close(tmp_path: Path) -> None:
    trace = weather(0.055, lossy=True)
    found = dissect(trace, tmp_path)
    types = [arrow.frame[0] >> 4 for arrow in arrows(trace)]
    assert [int(said["mqtt.msgtype"][0]) for said in found] == types


def test_reconnects_are_streams_of_their_own_with_their_own_version(tmp_path: Path) -> None:
    script = Script()
    for number, protocol in enumerate((5, 4, 5), start=1):
        ends = (number, 10 + number)
        script.pass_on("alice", BROKER, Connect("alice", protocol=protocol), protocol, ends=ends)
        script.pass_on("alice", BROKER, Publish("t", b"x"), protocol, ends=ends)
        script.trace.record(EventKind.CLOSED, "alice", BROKER, connection=number)
    found = dissect(script.trace, tmp_path)
    assert [said["mqtt.ver"] for said in found[::2]] == [["5"], ["4"], ["5"]]
    assert [said["mqtt.msg"] for said in found[1::2]] == [["78"]] * 3


def test_many_clients_none_malformed(tmp_path: Path) -> None:
    script = Script()
    count = 300
    for number in range(count):
        script.pass_on(f"c{number}", BROKER, Connect(f"c{number}"), ends=(1, number + 1))
        script.pass_on(BROKER, f"c{number}", Connack(), ends=(number + 1, 1))
    for number in range(count):
        script.pass_on(BROKER, f"c{number}", Publish("t", b"x"), ends=(number + 1, 1))
    found = dissect(script.trace, tmp_path)
    assert len(found) == 3 * count
    names = [said["mqtt.clientid"][0] for said in found if "mqtt.clientid" in said]
    assert names == [f"c{number}" for number in range(count)]


def test_listeners_capture_of_tls_is_tls_to_wireshark_and_holds_nothing(tmp_path: Path) -> None:
    script = Script()
    script.pass_on("alice", BROKER, Publish("secret", b"secret"), protected=True)
    file = tmp_path / "tls.pcap"
    write_capture(seen_on_network(script.trace), file)
    assert b"secret" not in file.read_bytes()
    command = [require_peer("tshark"), "-r", str(file), "-T", "fields", "-e", "tls.record.content_type"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["23"]


def test_wireshark_does_complain_about_a_malformed_packet(tmp_path: Path) -> None:
    script = Script()
    script.pass_on("alice", BROKER, Connect("alice"))
    # A PUBLISH whose topic is said to be longer than the packet.
    script.pass_on("alice", BROKER, b"\x30\x04\x00\x09ab")
    with pytest.raises(AssertionError, match="_ws.malformed"):
        dissect(script.trace, tmp_path)
