"""tshark reads lab 02's run over real sockets: every packet, AUTH with its method, nothing malformed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mqttsec.labs import Handshake
from mqttsec.packets import PacketType
from tests.interop.test_capture_tshark import dissect

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("scheme", (1, 3))
def test_a_handshake_over_sockets(tmp_path: Path, scheme: int) -> None:
    with Handshake(seed=7, scheme=scheme, profile="hardened") as lab:
        run = lab.over_sockets()
    packets = dissect(run.trace, tmp_path)
    kinds = Counter(PacketType(int(packet["mqtt.msgtype"][0])) for packet in packets)
    assert kinds == {
        PacketType.CONNECT: 2,
        PacketType.CONNACK: 2,
        PacketType.AUTH: 2,
        PacketType.PUBLISH: 6,
        PacketType.PUBACK: 2,
        PacketType.SUBSCRIBE: 1,
        PacketType.SUBACK: 1,
    }
    method = run.setup.method
    signed_in = [packet for packet in packets if packet["mqtt.msgtype"][0] in ("1", "2", "15")]
    assert len(signed_in) == 6
    assert all(packet["mqtt.prop_string"][0] == method for packet in signed_in)
