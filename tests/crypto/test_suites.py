"""The suites: known answers, what opens, what must not, and that calls are counted as the paper does."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import example, given
from hypothesis import strategies as st

from mqttsec.crypto import SUITES, Box, Key, Operations, Purpose, SealKey, Suite, suite
from mqttsec.errors import ConfigurationError, TamperError
from tests.crypto import known_answers
from tests.crypto.known_answers import Aead, Hmac

EVERY = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
PAPER, GCM, GMAC, CHACHA = (SUITES[name] for name in ("paper", "aes-gcm", "aes-gcm-gmac", "chacha20"))


def key_for(suite: Suite, secret: bytes | None = None, name: str = "K") -> SealKey:
    secret = os.urandom(suite.encryption_key_size) if secret is None else secret
    return SealKey.single(Key(name, Purpose.ENCRYPTION_AND_MAC, secret))


def split_key(suite: Suite) -> SealKey:
    """As *hardened* has it."""
    return SealKey(
        "K P>B",
        Key("K P>B", Purpose.ENCRYPTION, os.urandom(suite.encryption_key_size)),
        Key("K P>B", Purpose.MAC, os.urandom(suite.mac_key_size)),
    )


def mac_key(secret: bytes) -> SealKey:
    return SealKey("K", Key("K", Purpose.ENCRYPTION, bytes(16)), Key("K", Purpose.MAC, secret))


def flips(data: bytes) -> list[bytes]:
    """`data` with one bit of each byte turned over, a different bit each time."""
    return [data[:at] + bytes((data[at] ^ 1 << at % 8,)) + data[at + 1 :] for at in range(len(data))]


# -- known answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "answer"),
    [(GCM, answer) for answer in known_answers.AES_128_GCM]
    + [(CHACHA, answer) for answer in known_answers.CHACHA20_POLY1305],
    ids=lambda value: value.source if isinstance(value, Aead) else value.name,
)
def test_an_aead_opens_what_the_standard_sealed(suite: Suite, answer: Aead) -> None:
    sealed = answer.nonce + answer.ciphertext + answer.tag
    assert suite.open(key_for(suite, answer.key), sealed, answer.associated_data) == answer.plaintext


def test_gmac_accepts_the_tag_of_the_standard() -> None:
    # Test case 1 is a GMAC of nothing.
    answer = known_answers.AES_128_GCM[0]
    GMAC.check(key_for(GMAC, answer.key), b"", answer.nonce + answer.tag)


@pytest.mark.parametrize("answer", known_answers.HMAC_SHA256, ids=lambda answer: answer.source)
@pytest.mark.parametrize("suite", [PAPER, GCM], ids=lambda suite: suite.name)
def test_hmac_gives_the_tag_of_the_standard(suite: Suite, answer: Hmac) -> None:
    assert suite.mac(mac_key(answer.key), answer.data) == answer.tag
    suite.check(mac_key(answer.key), answer.data, answer.tag)


def test_cbc_decrypts_what_the_standard_encrypted() -> None:
    answer = known_answers.AES_128_CBC
    # The standard pads nothing: the block of padding that we want is encrypted after its last block.
    padding = bytes(16 ^ byte for byte in answer.ciphertext[-16:])
    last = Cipher(algorithms.AES(answer.key), modes.ECB()).encryptor().update(padding)
    box = PAPER.box(key_for(PAPER, answer.key))
    for _ in range(3):  # the context runs on from one message to the next, and must not show it
        assert box.decrypt(answer.nonce + answer.ciphertext + last) == answer.plaintext


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=5))
def test_any_cbc_reads_what_a_running_context_wrote(messages: list[bytes]) -> None:
    secret = os.urandom(16)
    box = PAPER.box(key_for(PAPER, secret))
    for message in messages:
        ciphertext = box.encrypt(message)
        other = Cipher(algorithms.AES(secret), modes.CBC(ciphertext[:16])).decryptor()
        padded = other.update(ciphertext[16:]) + other.finalize()
        size = 16 - len(message) % 16
        assert padded == message + bytes((size,)) * size


# -- what opens ----------------------------------------------------------------------------------------


@EVERY
@given(plaintext=st.binary(max_size=200), associated_data=st.binary(max_size=40))
def test_what_is_sealed_opens(suite: Suite, plaintext: bytes, associated_data: bytes) -> None:
    for key in (key_for(suite), split_key(suite)):
        sender, receiver = suite.box(key), suite.box(key)
        sealed = sender.seal(plaintext, associated_data)
        assert len(sealed) == suite.sealed_size(len(plaintext))
        assert receiver.open(sealed, associated_data) == plaintext
        tag = sender.mac(plaintext)
        assert len(tag) == suite.tag_size
        receiver.check(plaintext, tag)


@EVERY
def test_sealing_twice_never_gives_the_same(suite: Suite) -> None:
    key = key_for(suite)
    box, other = suite.box(key), suite.box(key)
    sealed = [each.seal(b"21.4") for each in (box, other) for _ in range(300)]
    # The first block is IV or nonce: it alone must not repeat.
    assert len({each[:12] for each in sealed}) == 600


def test_the_paper_s_inner_is_encrypt_then_mac() -> None:
    box = PAPER.box(key_for(PAPER))
    sealed = box.seal(b"21.4")
    ciphertext, tag = sealed[:-32], sealed[-32:]
    box.check(ciphertext, tag)
    assert box.mac(ciphertext) == tag
    assert box.decrypt(ciphertext) == b"21.4"
    composed = box.encrypt(b"19.5")
    assert box.open(composed + box.mac(composed)) == b"19.5"


# -- what must not open --------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("associated_data", [b"", b"weather/1"])
def test_one_bit_of_any_byte_is_noticed(suite: Suite, associated_data: bytes) -> None:
    box = suite.box(key_for(suite))
    sealed = box.seal(b"temperature 21.4", associated_data)
    for damaged in flips(sealed):
        with pytest.raises(TamperError):
            box.open(damaged, associated_data)
    for damaged in flips(associated_data):
        with pytest.raises(TamperError):
            box.open(sealed, damaged)
    assert box.open(sealed, associated_data) == b"temperature 21.4"


@EVERY
def test_one_bit_of_any_byte_of_tag_or_data_is_noticed(suite: Suite) -> None:
    box = suite.box(key_for(suite))
    data = b"weather/1 21.4"
    tag = box.mac(data)
    for damaged in flips(tag):
        with pytest.raises(TamperError):
            box.check(data, damaged)
    for damaged in flips(data):
        with pytest.raises(TamperError):
            box.check(damaged, tag)
    box.check(data, tag)


@EVERY
def test_every_cut_and_every_addition_is_noticed(suite: Suite) -> None:
    box = suite.box(key_for(suite))
    sealed, tag = box.seal(b"temperature 21.4"), box.mac(b"21.4")
    for size in range(len(sealed)):
        with pytest.raises(TamperError):
            box.open(sealed[:size])
    for size in range(len(tag)):
        with pytest.raises(TamperError):
            box.check(b"21.4", tag[:size])
    with pytest.raises(TamperError):
        box.open(sealed + b"\0")
    with pytest.raises(TamperError):
        box.check(b"21.4", tag + b"\0")


@EVERY
def test_another_key_opens_nothing_and_its_tags_do_not_fit(suite: Suite) -> None:
    box, other = suite.box(key_for(suite)), suite.box(key_for(suite, name="K_other"))
    with pytest.raises(TamperError, match="K_other"):
        other.open(box.seal(b"21.4"))
    with pytest.raises(TamperError, match="K_other"):
        other.check(b"21.4", box.mac(b"21.4"))


@EVERY
@given(one=st.binary(max_size=50), two=st.binary(max_size=50))
def test_other_associated_data_is_noticed(suite: Suite, one: bytes, two: bytes) -> None:
    box = suite.box(key_for(suite))
    sealed = box.seal(b"21.4", one)
    if one == two:
        assert box.open(sealed, two) == b"21.4"
    else:
        with pytest.raises(TamperError):
            box.open(sealed, two)


@given(shift=st.integers(min_value=1, max_value=48), size=st.integers(min_value=0, max_value=48))
@example(shift=1, size=8)
def test_no_byte_moves_between_associated_data_and_ciphertext(shift: int, size: int) -> None:
    """Encrypt-then-MAC: what is under the tag has one reading only, so another split must not pass."""
    box = PAPER.box(key_for(PAPER))
    associated_data = os.urandom(size)
    sealed = box.seal(b"temperature 21.4", associated_data)
    for data, moved in (
        (associated_data + sealed[:shift], sealed[shift:]),
        (associated_data[:-shift], associated_data[-shift:] + sealed),
        (b"", associated_data + sealed),
        (b"", associated_data + sealed[:-32] + size.to_bytes(8, "big") + sealed[-32:]),
        (b"", associated_data + bytes(-size % 16) + sealed[:-32] + size.to_bytes(8, "big") + sealed[-32:]),
    ):
        if (data, moved) != (associated_data, sealed):
            with pytest.raises(TamperError):
                box.open(moved, data)
        if not data and (len(moved) - 32) % 16 == 0 and moved != sealed:
            # Already the tag must not fit: that decryption fails too would be luck.
            with pytest.raises(TamperError):
                box.check(moved[:-32], moved[-32:])


def test_all_failures_to_open_read_alike() -> None:
    box = PAPER.box(key_for(PAPER))
    sealed = box.seal(b"21.4")
    ciphertext = sealed[:-32]
    bad_padding = ciphertext[:-17] + bytes((ciphertext[-17] ^ 0x80,)) + ciphertext[-16:]
    messages = set()
    for damaged in (b"", sealed[:-1], flips(sealed)[20], bad_padding + box.mac(bad_padding)):
        with pytest.raises(TamperError) as caught:
            box.open(damaged)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_decrypting_without_a_tag_shows_why_there_is_one() -> None:
    """CBC alone is malleable: a flipped bit of the IV flips that bit of the first block, unnoticed."""
    box = PAPER.box(key_for(PAPER))
    ciphertext = box.encrypt(b"temperature 21.4")
    assert box.decrypt(bytes((ciphertext[0] ^ 1,)) + ciphertext[1:]) == b"uemperature 21.4"
    with pytest.raises(TamperError):
        box.decrypt(ciphertext[:-1])
    for size in (0, 15, 17, 31):
        with pytest.raises(TamperError):
            box.decrypt(ciphertext[:size])


# -- keys and names ------------------------------------------------------------------------------------


@EVERY
def test_a_key_of_the_wrong_size_is_refused(suite: Suite) -> None:
    with pytest.raises(ConfigurationError, match="derive it for this suite"):
        suite.box(key_for(suite, bytes(suite.encryption_key_size - 1)))


def test_a_short_mac_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 16"):
        PAPER.mac(mac_key(bytes(15)), b"")


@pytest.mark.parametrize("suite", [GCM, GMAC, CHACHA], ids=lambda suite: suite.name)
def test_an_aead_neither_encrypts_nor_decrypts_without_integrity(suite: Suite) -> None:
    box = suite.box(key_for(suite))
    with pytest.raises(ConfigurationError, match="use seal"):
        box.encrypt(b"")
    with pytest.raises(ConfigurationError, match="use open"):
        box.decrypt(bytes(32))


def test_an_unknown_suite_is_refused_with_the_names_there_are() -> None:
    assert suite("paper") is PAPER
    with pytest.raises(ConfigurationError, match="paper, aes-gcm, aes-gcm-gmac, chacha20"):
        suite("rot13")


# -- counting ------------------------------------------------------------------------------------------


@EVERY
def test_each_call_counts_what_the_paper_counts(suite: Suite) -> None:
    operations = Operations("P")
    box = suite.box(key_for(suite), operations)

    def cost(action: str, *arguments: bytes) -> str:
        before = operations.tally
        getattr(box, action)(*arguments)
        return str(operations.tally - before)

    sealed, tag = suite.box(key_for(suite)).seal(b""), box.mac(b"21.4")
    assert cost("seal", b"21.4", b"bound") == "E + H"
    assert cost("open", box.seal(b"21.4")) == "D + H"
    assert cost("mac", b"21.4") == "H"
    assert cost("check", b"21.4", tag) == "H"
    with pytest.raises(TamperError):
        cost("open", sealed)
    before = operations.tally
    with pytest.raises(TamperError):
        box.open(sealed)
    assert str(operations.tally - before) == "H", "a forgery is refused before anything is decrypted"


def test_encryption_and_decryption_count_alone_and_refusals_do_not() -> None:
    operations = Operations()
    box = PAPER.box(key_for(PAPER), operations)
    box.decrypt(box.encrypt(b"21.4"))
    assert str(operations.tally) == "E + D"
    aead = CHACHA.box(key_for(CHACHA), operations)
    with pytest.raises(ConfigurationError):
        aead.encrypt(b"")
    with pytest.raises(ConfigurationError):
        aead.decrypt(b"")
    assert str(operations.tally) == "E + D"


@EVERY
@pytest.mark.parametrize("subscribers", [1, 2, 10])
def test_scheme_2_composed_of_these_costs_what_the_table_says(suite: Suite, subscribers: int) -> None:
    """Specification 1.5, one ciphertext: P 2E+2H, B D+H+n(E+H), S_i 2D+2H."""
    end_to_end, with_p = key_for(suite), key_for(suite)
    with_s = [key_for(suite) for _ in range(subscribers)]
    p, b = Operations("P"), Operations("B")
    inner = suite.box(end_to_end, p).seal(b"21.4")
    outer = suite.box(with_p, p).seal(inner)
    assert str(p.tally) == "2E + 2H"

    arrived = suite.box(with_p, b).open(outer)
    copies = [suite.box(key, b).seal(arrived) for key in with_s]
    assert b.tally.pairs() == (("E", subscribers), ("D", 1), ("H", subscribers + 1))
    assert len(set(copies)) == subscribers

    for key, copy in zip(with_s, copies, strict=True):
        s = Operations("S")
        assert suite.box(end_to_end, s).open(suite.box(key, s).open(copy)) == b"21.4"
        assert str(s.tally) == "2D + 2H"


def test_a_box_that_nobody_counts_is_the_plain_one() -> None:
    """No wrapper, no test, nothing to pay: the methods of the cipher itself."""
    box: Box = GCM.box(key_for(GCM))
    assert type(box.seal).__name__ == "method"
    assert "counted" not in getattr(box.seal, "__qualname__", "")
