"""What a copy of a receiver's own costs at least: the suite's primitive and the kernel, without any broker.

The same frames as those of a broker go to as many connections, once the same frame to all, and once each
sealed under a key of its own just before. The difference is what Scheme 2 adds to Scheme 1 in a broker that
does everything else for nothing; `overhead_report` sets the measured ratios beside it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from statistics import median

from mqttsec.crypto import SUITES, Key, Purpose, SealKey
from mqttsec.e2e.schemes import Mode
from mqttsec.measure.audience import TOPIC
from mqttsec.measure.cores import allow_open_files
from mqttsec.measure.cost_model import HEADER
from mqttsec.measure.experiments import FLOOR, SEALED, WRITTEN, Row

MESSAGES = 12
"""Messages of one round; their median counts."""
_PUBLISH = 4 + 2 + len(TOPIC)
# Bytes of a PUBLISH before its payload.
_BOUND = bytes(90)
# As many bytes as `channel.associated` puts under the tag.


def floors(suite: str, subscribers: int, payload: int, rounds: int) -> Iterator[Row]:
    """Two rows a round, processor time per delivery: `WRITTEN`, one frame for all; `SEALED`, each its own.

    Raises `ConfigurationError` for more subscribers than the machine allows open files.
    """
    inner = bytes(SUITES[suite].sealed_size(payload) + HEADER)
    frame = bytes(_PUBLISH) + inner
    seals = [_seal(suite) for _ in range(subscribers)]
    head = bytes(_PUBLISH + HEADER)
    with _connections(subscribers, len(frame) + 4096) as (descriptors, drain):

        def write_all() -> None:
            for descriptor in descriptors:
                os.write(descriptor, frame)

        def seal_and_write_all() -> None:
            for descriptor, seal in zip(descriptors, seals, strict=True):
                os.write(descriptor, head + seal(inner, _BOUND))

        for number in range(1, rounds + 1):
            for name, send in ((WRITTEN, write_all), (SEALED, seal_and_write_all)):
                took = [_timed(send, drain) for _ in range(1 + MESSAGES)][1:]
                yield Row(
                    FLOOR,
                    number,
                    name,
                    FLOOR,
                    None,
                    suite,
                    Mode.SINGLE_CIPHERTEXT.value,
                    "",
                    subscribers,
                    payload,
                    0,
                    messages=MESSAGES,
                    deliveries=MESSAGES * subscribers,
                    broker_cpu_us=1e6 * median(took) / subscribers,
                )


def _timed(send: Callable[[], None], drain: Callable[[], None]) -> float:
    """Seconds of processor time of one message to all; what receiving takes does not count."""
    began = time.thread_time()
    send()
    took = time.thread_time() - began
    drain()
    return took


def _seal(suite: str) -> Callable[[bytes, bytes], bytes]:
    """What seals under a key of its own."""
    key = Key("K", Purpose.ENCRYPTION_AND_MAC, os.urandom(SUITES[suite].encryption_key_size))
    return SUITES[suite].box(SealKey.single(key)).seal


@contextlib.contextmanager
def _connections(count: int, size: int) -> Iterator[tuple[list[int], Callable[[], None]]]:
    """(what to write to, what reads all that has come) of so many connections, with room for `size` bytes."""
    allow_open_files(2 * count + 200)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=count))
        senders, receivers = [], []
        for _ in range(count):
            sender = stack.enter_context(socket.create_connection(listener.getsockname()))
            receiver = stack.enter_context(listener.accept()[0])
            sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            senders.append(sender)
            receivers.append(receiver)

        def drain() -> None:
            for receiver in receivers:
                with contextlib.suppress(BlockingIOError):
                    while receiver.recv(1 << 20, socket.MSG_DONTWAIT):
                        pass

        yield [sender.fileno() for sender in senders], drain
