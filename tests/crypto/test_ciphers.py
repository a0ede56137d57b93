"""What the speed rests on: contexts that run on, nonces in batches; with threads, forks and the limit."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from mqttsec.crypto import SUITES, Key, Purpose, SealKey, Suite, ciphers
from mqttsec.errors import ConfigurationError

EVERY = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)


def key_for(suite: Suite) -> SealKey:
    return SealKey.single(Key("K", Purpose.ENCRYPTION_AND_MAC, os.urandom(suite.encryption_key_size)))


@EVERY
def test_threads_share_a_box(suite: Suite) -> None:
    """A context of `cryptography` refuses a second thread; large messages are worked on without the GIL."""
    box = suite.box(key_for(suite))
    large = os.urandom(1 << 20)
    failures: list[BaseException] = []
    firsts: list[bytes] = []
    begin = threading.Barrier(4)

    def work() -> None:
        try:
            begin.wait()
            for _ in range(8):
                sealed = box.seal(large, b"bound")
                firsts.append(sealed[:12])
                assert box.open(sealed, b"bound") == large
                box.check(large, box.mac(large))
        except BaseException as failure:  # a thread's failure must reach the test
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(firsts)) == 32


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork: nothing to protect against")
@EVERY
def test_a_forked_child_draws_other_nonces(suite: Suite) -> None:
    box = suite.box(key_for(suite))
    box.seal(b"")  # the stock is filled before the fork
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing but this: the child has the test runner's state and must never come back to it.
        try:
            os.write(writer, b"".join(box.seal(b"")[:12] for _ in range(100)))
        finally:
            os._exit(0)
    os.close(writer)
    mine = {box.seal(b"")[:12] for _ in range(100)}
    with os.fdopen(reader, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    assert len(theirs) == 1200
    assert mine.isdisjoint(theirs[at : at + 12] for at in range(0, 1200, 12))


@EVERY
def test_a_key_that_has_sealed_enough_seals_no_more(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ciphers, "MESSAGES_PER_BOX", 3)
    box = suite.box(key_for(suite))
    sealed = [box.seal(b"21.4") for _ in range(3)]
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="agree on a new one"):
            box.seal(b"21.4")
    assert [box.open(each) for each in sealed] == [b"21.4"] * 3, "opening has no limit"


def test_a_draw_that_makes_a_batch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ciphers, "MESSAGES_PER_BOX", 3)
    stock = ciphers._Stock(8, batch=2)
    budget = stock.budget()
    drawn = []
    with pytest.raises(StopIteration):
        while True:
            try:
                drawn.append(next(budget))
            except IndexError:
                drawn.append(stock.more())
    assert len(drawn) == 3


def test_gmac_has_the_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ciphers, "MESSAGES_PER_BOX", 1)
    box = SUITES["aes-gcm-gmac"].box(key_for(SUITES["aes-gcm-gmac"]))
    box.mac(b"")
    with pytest.raises(ConfigurationError, match="agree on a new one"):
        box.mac(b"")


def test_a_stock_hands_out_nothing_twice() -> None:
    stock = ciphers._Stock(8, batch=5)
    drawn: list[bytes] = []

    def draw() -> Iterator[bytes]:
        budget = stock.budget()
        for _ in range(500):
            try:
                yield next(budget)
            except IndexError:
                yield stock.more()

    threads = [threading.Thread(target=lambda: drawn.extend(draw())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {len(each) for each in drawn} == {8}
    assert len(set(drawn)) == len(drawn) == 2000
