"""Made-up runs for the tests of the trace: exact times, real packets, no network."""

from __future__ import annotations

from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscribeFilter,
    encode,
)
from mqttsec.trace import EventKind, Trace

BROKER = "broker"
READING = b'{"temp": 12.8}'


class Script:
    """Records what parties would record; the time is what the test says it is."""

    def __init__(self, delay: float = 0.0) -> None:
        self.now = 0.0
        self.delay = delay
        self.trace = Trace(lambda: self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def sent(
        self, sender: str, receiver: str, packet: Packet | bytes, protocol: int = 5, **facts: object
    ) -> None:
        self._record(EventKind.SENT, sender, receiver, packet, protocol, facts)

    def received(
        self, receiver: str, sender: str, packet: Packet | bytes, protocol: int = 5, **facts: object
    ) -> None:
        self._record(EventKind.RECEIVED, receiver, sender, packet, protocol, facts)

    def lost(
        self, sender: str, receiver: str, packet: Packet | bytes, protocol: int = 5, **facts: object
    ) -> None:
        self._record(EventKind.LOST, sender, receiver, packet, protocol, facts)

    def pass_on(
        self,
        sender: str,
        receiver: str,
        packet: Packet | bytes,
        protocol: int = 5,
        lost: bool = False,
        ends: tuple[int, int] = (0, 0),
        **facts: object,
    ) -> None:
        """`packet` leaves, takes `delay`, and arrives (or is lost); then 10 ms pass."""
        self.sent(sender, receiver, packet, protocol, connection=ends[0], **facts)
        if lost:
            self.lost(sender, receiver, packet, protocol, connection=ends[0], **facts)
        else:
            self.wait(self.delay)
            self.received(receiver, sender, packet, protocol, connection=ends[1], **facts)
        self.wait(0.010)

    def _record(
        self,
        kind: EventKind,
        party: str,
        peer: str,
        packet: Packet | bytes,
        protocol: int,
        facts: dict[str, object],
    ) -> None:
        frame = packet if isinstance(packet, bytes) else encode(packet, protocol)
        self.trace.record(kind, party, peer, packet=frame, protocol=protocol, **facts)


def weather(delay: float = 0.0, lossy: bool = False) -> Trace:
    """A weather station publishes one reading at QoS 1 to a dashboard, and breaks a rule in the end."""
    script = Script(delay)
    station, dashboard = (1, 2), (1, 1)
    script.trace.record(EventKind.OPENED, "dashboard", BROKER, connection=1)
    script.pass_on("dashboard", BROKER, Connect("dashboard"), ends=dashboard)
    script.pass_on(BROKER, "dashboard", Connack(), ends=dashboard[::-1])
    script.trace.record(EventKind.OPENED, "station", BROKER, connection=1)
    script.pass_on("station", BROKER, Connect("station", username="lab", password=b"hunter2"), ends=station)
    script.pass_on(BROKER, "station", Connack(), ends=station[::-1])
    script.pass_on("dashboard", BROKER, Subscribe(1, (SubscribeFilter("site/#", 1),)), ends=dashboard)
    script.pass_on(BROKER, "dashboard", Suback(1, (1,)), ends=dashboard[::-1])
    if lossy:
        script.pass_on(
            "station", BROKER, Publish("site/seattle", READING, 1, packet_id=7), ends=station, lost=True
        )
        script.wait(0.99)
    again = Publish("site/seattle", READING, 1, packet_id=7, dup=lossy)
    script.pass_on("station", BROKER, again, ends=station)
    script.trace.record(EventKind.CHECKED, BROKER, "station", detail="the station may publish here")
    script.pass_on(BROKER, "station", Puback(7), ends=station[::-1])
    script.pass_on(
        BROKER, "dashboard", Publish("site/seattle", READING, 1, packet_id=1), ends=dashboard[::-1]
    )
    script.pass_on("dashboard", BROKER, Puback(1), ends=dashboard)
    script.trace.record(EventKind.DERIVED, "dashboard", keys=("K_PB",), operations=(("H", 2), ("E", 1)))
    script.pass_on("station", BROKER, Pingreq(), ends=station)
    script.pass_on(BROKER, "station", Pingresp(), ends=station[::-1])
    first = Properties(authentication_method="SCRAM-SHA-256", authentication_data=b"n,,n=lab,r=abc")
    script.pass_on("station", BROKER, Auth(0x19, first), ends=station)
    script.trace.record(EventKind.REJECTED, BROKER, "station", detail="re-authentication without a first one")
    script.pass_on(BROKER, "station", Disconnect(0x82), ends=station[::-1])
    script.trace.record(EventKind.CLOSED, BROKER, "station", connection=2)
    return script.trace
