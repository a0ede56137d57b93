"""Nothing is left of a handshake that failed or was never finished: no session, subscription, or memory."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from dataclasses import replace

import pytest

from mqttsec.crypto import CertificateAuthority, Profile
from mqttsec.e2e import Message, Party, Publisher, Role, Setup, Subscriber
from mqttsec.e2e.broker import Ticket, Welcome
from mqttsec.e2e.company import START, TOPIC, authority, identity
from mqttsec.e2e.encoding import decode
from mqttsec.e2e.handshake import Run
from mqttsec.e2e.messages import KeepWaiting, PublisherAnswer, StillWaiting
from mqttsec.mqtt5.auth import AuthConversation
from mqttsec.mqtt5.connection import Connection
from mqttsec.mqtt5.session import Session, Subscription
from mqttsec.packets import Auth, Connack, Properties
from tests.e2e.hall import Hall, in_hall, settle
from tests.mqtt5.house import connect_packet

LEFT = (Ticket, Welcome, Run, AuthConversation, Connection, Session, Subscription)
"""What a handshake is made of at the broker."""


def alive() -> list[object]:
    """All of these that there are anywhere, reachable or not yet collected."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, LEFT)]


def grown(before: list[object]) -> Counter[str]:
    """How many there are that were not there `before`.

    The list holds what was there, so that no new object can have the address of an old one; what
    other tests left and the collector takes away meanwhile makes no difference.
    """
    known = {id(each) for each in before}
    return Counter(type(each).__name__ for each in alive() if id(each) not in known)


class Stranger:
    """A client that keeps nothing, so that whatever stays is the broker's."""

    def __init__(self, hall: Hall, name: str = "stranger") -> None:
        self.hall = hall
        self.name = name
        self.method = hall.setup.method

    def party(self, role: Role) -> Party:
        return Party(role, identity(self.name), authority().trust, self.hall.setup, self.hall.clock)

    async def sends(self, first: bytes) -> Connack:
        """CONNECT with `first`; gives the refusal."""
        line = await self.hall.house.line()
        about = Properties(authentication_method=self.method, authentication_data=first)
        line.send(connect_packet(self.name, properties=about))
        while not isinstance(packet := await line.recv(), Connack):
            assert isinstance(packet, Auth), packet
            line.send(Auth(0x18, Properties(authentication_method=self.method, authentication_data=b"?")))
        await line.drop()
        return packet

    async def fails(self) -> list[int]:
        """Every way that a handshake can fail at once; gives the Reason Codes."""
        p, s = Publisher(self.party(Role.P)), Subscriber(self.party(Role.S))
        foreign = CertificateAuthority(clock=lambda: START).issue(self.name)
        hello, request = p.hello(), s.request("alice", TOPIC)
        stale = int((self.hall.clock() - 100) * 1000)
        wrong: list[Message] = [
            replace(hello, signature=hello.signature[::-1]),
            replace(hello, certificate=foreign.certificate),
            replace(hello, timestamp=stale),
            replace(hello, publisher="somebody"),
            replace(request, signature=request.signature[::-1]),
            replace(request, certificate=foreign.certificate),
            replace(request, timestamp=stale),
            replace(request, subscriber="somebody"),
            KeepWaiting(),
            request,  # right, and then it says nonsense when it is asked to keep waiting
            *(hello,) * self.hall.setup.confirm,  # and here when it is to confirm
        ]
        data = [b"", b"garbage", *(message.encode() for message in wrong)]
        return [(await self.sends(each)).reason_code for each in data]

    async def goes_away(self, rounds: int) -> None:
        """A handshake that is right so far, and whose client then cuts the line."""
        s = Subscriber(self.party(Role.S))
        line = await self.hall.house.line()
        about = Properties(
            authentication_method=self.method, authentication_data=s.request("alice", TOPIC).encode()
        )
        line.send(connect_packet(self.name, properties=about))
        for _ in range(rounds):
            question = await line.expect(Auth)
            message = decode(question.properties.authentication_data or b"", KeepWaiting)
            data = s.wait(message).encode()
            line.send(Auth(0x18, Properties(authentication_method=self.method, authentication_data=data)))
        await line.drop()

    async def is_silent(self) -> None:
        """A handshake whose client is there and says nothing, until the broker has had enough."""
        s = Subscriber(self.party(Role.S))
        line = await self.hall.house.line()
        about = Properties(
            authentication_method=self.method, authentication_data=s.request("nobody", TOPIC).encode()
        )
        line.send(connect_packet(self.name, properties=about))
        await line.ended_with(Connack, 0x87)


@pytest.mark.parametrize("confirm", (False, True))
@pytest.mark.parametrize("number", (1, 3))
def test_failed_and_unfinished_handshakes_leave_no_object_behind(number: int, confirm: bool) -> None:
    async def play(hall: Hall) -> None:
        # A publisher that hears of nobody keeps every request waiting.
        deaf = hall.new_publisher()
        deaf.client.on_message = lambda message: None
        await deaf.connect()

        async def all_ways() -> None:
            stranger = Stranger(hall)
            codes = await stranger.fails()
            assert all(code >= 0x80 for code in codes), codes
            for rounds in range(3):
                await stranger.goes_away(rounds)
            await stranger.is_silent()
            await settle()

        await all_ways()
        before = alive()
        for _ in range(3):
            await all_ways()
        assert grown(before) == {}
        assert set(hall.house.broker.sessions) == {"alice"} and hall.side.machine.tickets == ()
        assert not hall.side.machine._tickets_of and not len(hall.side._room)
        assert not hall.side.machine._audiences._by_stream
        # What the replay cache remembers runs out with its window.
        assert len(hall.side.party.replays)
        await asyncio.sleep(2 * hall.setup.window + 1)
        hall.side.party.replays.check("anybody", b"", hall.clock())
        assert not len(hall.side.party.replays)

    setup = Setup(number, Profile.HARDENED, confirm=confirm, curve="X25519")
    in_hall(play, setup, patience=0.5)


def test_a_refused_handshake_leaves_its_publisher_as_it_was() -> None:
    """B refuses the answer of P; P, which had let S in, is told that it left."""

    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        machine = publisher.end.machine
        asked = machine.asked

        def wrong(correlation: bytes, request: object) -> PublisherAnswer:
            answer = asked(correlation, request)  # type: ignore[arg-type]
            return replace(answer, signature=answer.signature[::-1])

        machine.asked = wrong  # type: ignore[method-assign]
        line = await hall.house.line()
        request = Subscriber(Stranger(hall).party(Role.S)).request("alice", TOPIC)
        about = Properties(authentication_method=hall.setup.method, authentication_data=request.encode())
        line.send(connect_packet("stranger", properties=about))
        waiting = Properties(
            authentication_method=hall.setup.method, authentication_data=StillWaiting().encode()
        )
        await line.expect(Auth)
        line.send(Auth(0x18, waiting))
        await line.ended_with(Connack, 0x87)
        await settle()
        assert publisher.members(TOPIC) == () == hall.side.machine.members("alice", TOPIC)
        assert not hall.side.machine._audiences._by_stream
        machine.asked = asked  # type: ignore[method-assign]
        await hall.subscriber("s1")
        assert publisher.members(TOPIC) == ("s1",)

    in_hall(play, Setup(3))


def test_the_same_counting_finds_what_a_handshake_that_succeeds_leaves() -> None:
    async def play(hall: Hall) -> None:
        await hall.publisher()
        before = alive()
        await hall.subscriber("s1")
        await settle()
        new = grown(before)
        for kind in ("Session", "Connection", "Subscription"):
            assert new[kind] > 0, kind
        before = alive()
        line = await hall.house.line()
        request = Subscriber(Stranger(hall).party(Role.S)).request("nobody", TOPIC)
        about = Properties(authentication_method=hall.setup.method, authentication_data=request.encode())
        line.send(connect_packet("stranger", properties=about))
        await line.expect(Auth)
        new = grown(before)
        for kind in ("Ticket", "Run", "AuthConversation"):
            assert new[kind] == 1, kind
        await line.drop()
        assert grown(before) == {}

    in_hall(play, Setup(3, confirm=True))
