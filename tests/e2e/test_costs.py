"""A run computes exactly what the table of specification 1.5 says."""

from __future__ import annotations

import pytest

from mqttsec.crypto import Operation, Profile, Tally
from mqttsec.e2e import SCHEMES, Mode, Role, Setup
from mqttsec.e2e.company import Company
from mqttsec.e2e.schemes import connect_operations, operations, subscribe_operations

E, D, H = (Tally.of(operation) for operation in (Operation.E, Operation.D, Operation.H))
NONE = Tally()


def printed(number: int, mode: Mode, n: int) -> dict[Role, Tally]:
    """The table of specification 1.5 as it is printed there."""
    single = mode is Mode.SINGLE_CIPHERTEXT
    p = {1: E + H, 2: 2 * E + 2 * H}
    return {
        Role.P: {
            1: p[1] if single else n * p[1],
            2: p[2] if single else n * p[2],
            3: 2 * E + 2 * H,
            4: E + 2 * H,
        }[number],
        Role.B: {
            1: NONE,
            2: D + H + n * (E + H) if single else n * (D + H) + n * (E + H),
            3: D + E + 2 * H,
            4: 2 * H,
        }[number],
        Role.S: {1: D + H, 2: 2 * D + 2 * H, 3: 2 * D + 2 * H, 4: D + 2 * H}[number],
    }


@pytest.mark.parametrize("n", (1, 2, 5, 10, 50))
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("number", SCHEMES)
def test_the_derived_table_is_the_printed_one(number: int, mode: Mode, n: int) -> None:
    assert operations(SCHEMES[number], mode, n) == printed(number, mode, n)


@pytest.mark.parametrize("suite", ("paper", "aes-gcm", "aes-gcm-gmac", "chacha20"))
@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("number", SCHEMES)
def test_a_message_costs_what_the_table_says(number: int, mode: Mode, profile: Profile, suite: str) -> None:
    """For n in {1, 2, 5, 10, 50}: the counters of a run equal the table."""
    world = Company(Setup(number, profile, suite, "X25519", mode), signing="Ed25519")
    world.connect()
    names: list[str] = []
    for n in (1, 2, 5, 10, 50):
        newcomers = [f"s{i}" for i in range(len(names), n)]
        world.join(*newcomers)
        names += newcomers
        before = world.tallies()
        opened = world.publish(b"12.8 C")
        assert {name: each.message for name, each in opened.items()} == dict.fromkeys(names, b"12.8 C")
        spent = {name: tally - before[name] for name, tally in world.tallies().items()}
        of = operations(SCHEMES[number], mode, n)
        assert spent == {"alice": of[Role.P], "broker": of[Role.B], **dict.fromkeys(names, of[Role.S])}


@pytest.mark.parametrize("signing, curve", (("ECDSA", "P-256"), ("Ed25519", "X25519")))
@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("number", SCHEMES)
def test_handshakes_cost_what_the_specification_says(
    number: int, mode: Mode, profile: Profile, signing: str, curve: str
) -> None:
    world = Company(Setup(number, profile, "paper", curve, mode), signing)
    world.connect()
    block_1 = connect_operations()
    assert (world.tallies()["alice"], world.tallies()["broker"]) == (block_1[Role.P], block_1[Role.B])
    for name in ("s1", "s2", "s3"):
        before = world.tallies()["alice"], world.tallies()["broker"]
        world.join(name)
        block_2 = subscribe_operations(SCHEMES[number], mode)
        assert world.tallies()["alice"] - before[0] == block_2[Role.P]
        assert world.tallies()["broker"] - before[1] == block_2[Role.B]
        assert world.tallies()[name] == block_2[Role.S]


def test_wraps_are_counted_by_scheme() -> None:
    def wraps(number: int) -> list[int]:
        block_2 = subscribe_operations(SCHEMES[number], Mode.PER_RECIPIENT)
        given, unwrapped = Operation.WRAP, Operation.UNWRAP
        return [block_2[Role.P][given], block_2[Role.B][given], block_2[Role.S][unwrapped]]

    assert [wraps(number) for number in SCHEMES] == [[0, 0, 0], [0, 0, 0], [1, 1, 2], [1, 1, 2]]


def test_scheme_4_leaves_the_broker_nothing_to_encrypt() -> None:
    for n in (1, 50):
        table = operations(SCHEMES[4], Mode.PER_RECIPIENT, n)[Role.B]
        assert (table[Operation.E], table[Operation.D]) == (0, 0)
