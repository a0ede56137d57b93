"""Labs 02, 03 and 05 over TCP: real paho clients give what the machines in memory give."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import SCHEMES, Mode, Setup
from mqttsec.errors import TimedOut
from mqttsec.labs import FourSchemes, GroupKeys, Handshake, over_sockets
from mqttsec.labs.over_sockets import SocketCompany, run
from mqttsec.labs.passage import send, send_over_sockets
from mqttsec.labs.station import company_of, receivers
from mqttsec.trace import arrows

MESSAGE = b'{"value": 12.8}'


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_lab_02_has_the_same_ladder_over_sockets(scheme: int, profile: Profile) -> None:
    with Handshake(seed=7, scheme=scheme, profile=profile.value) as lab:
        there = lab.over_sockets()
        lab.run()
        assert there.alike and there.found == 0
        assert there.read == tuple(text.decode() for text in lab.says)
        kinds = [(each.sender, each.receiver, each.frame[0] >> 4) for each in there.arrows]
        assert kinds == [(each.sender, each.receiver, each.frame[0] >> 4) for each in lab.packets]
        assert repr(lab.over_sockets()) == repr(there) and lab.over_sockets().ladder() == there.ladder()


def test_another_run_is_not_taken_for_the_same() -> None:
    with Handshake(seed=7, scheme=3) as lab:
        lab.run()
        other = run(Setup(4, Profile.PUBLISHED), lab.says, "bob", arrows(lab.trace))
        assert not other.alike and "NOT the same as in memory" in repr(other)
        short = run(lab.setup, lab.says[:1], "bob", arrows(lab.trace))
        assert not short.alike and short.read == (lab.says[0].decode(),)


def test_the_run_of_the_reader_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Handshake(seed=7) as lab:
        lab.tamper(2, "signature")
        before = lab.ladder()
        there = lab.over_sockets()
        assert there.alike, "nobody meddles there"
        assert lab.ladder() == before and lab.position == 2
        assert lab.capture(there, "there.pcap").packets > len(there.arrows)
        assert lab.capture().packets == 2


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_message_is_the_same_over_sockets(scheme: int, mode: Mode) -> None:
    """Counted, seen, read and found in memory: all of lab 03's passage."""
    setup, names = Setup(scheme, mode=mode), receivers(3)
    memory = send(company_of(setup, names), MESSAGE)
    there = send_over_sockets(setup, MESSAGE, names)
    assert there.is_like(memory)
    assert there.counted == there.expected
    assert not there.is_like(send(company_of(setup, receivers(2)), MESSAGE))


def test_lab_03_over_sockets_says_so() -> None:
    with FourSchemes(seed=7) as lab:
        rows = {row[0]: row[1:] for row in lab.over_sockets(n=2).rows}
    assert rows["as in memory"] == (True,) * 4
    assert rows["the broker"] == ("-",) * 4
    assert rows["different payloads B-S"] == (2, 2, 1, 1)


@pytest.mark.parametrize("scheme", (3, 4))
@pytest.mark.parametrize("profile", Profile)
def test_who_left_reads_on_under_published_only(scheme: int, profile: Profile) -> None:
    with GroupKeys(seed=7) as lab:
        rows = {row[0]: row[1:] for row in lab.over_sockets(profile.value, scheme).rows}
    hardened = profile is Profile.HARDENED
    assert rows["phone leaves"][:2] == ((2, 2) if hardened else (0, 0))
    assert rows["message 1"] == (0, 0, "reads it", "reads it", "reads it")
    assert rows["message 2"] == (0, 0, "reads it", "reads it", "-" if hardened else "reads it")


def test_whatever_happens_within_nothing_stays_open() -> None:
    with pytest.raises(KeyError, match="nobody"), SocketCompany(Setup(3)) as company:
        company.join("bob")
        company.leave("nobody")
    assert not company.publisher.client.is_connected()


def test_waiting_in_vain_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_sockets, "_LONG", 0.05)
    with pytest.raises(TimedOut, match="waited 0.05 s in vain for a wonder"):
        over_sockets._until(lambda: False, "a wonder")
