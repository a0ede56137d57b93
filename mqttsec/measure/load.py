"""The load generator: a process of its own that runs one experiment after the other.

It reads one JSON object a line (a `Job`) and writes one (a `Measurement`, or {"error": ...}). Two regimes:

- one message at a time: publish, wait until every subscriber has it and every acknowledgement is through,
  pause, repeat; and the same again without the pause, because a broker that sleeps between messages is also
  measured by how fast its operating system wakes it. The delay of a delivery begins before the publisher's
  write and ends when the subscriber's socket reports the data. What arrives is read and acknowledged only
  after the last delivery, so that the load's own work is in nobody's delay. (A publisher at QoS 2 answers
  PUBREC at once: a broker may wait for the PUBREL before it delivers.)
- saturated: the publisher never lets the broker rest, but never runs more than `window` messages ahead of
  the slowest subscriber, so that nobody is cut off for having been flooded.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mqttsec.errors import ConnectionFailed, MqttsecError
from mqttsec.measure.cores import Usage, pin, usage
from mqttsec.measure.crowd import READABLE, Crowd
from mqttsec.measure.frames import PublishFrames

WARM_UP_SHARE = 0.25
"""Part of a regime's time that is run and not counted."""
MESSAGE_SECONDS = 5.0
"""A single message that takes longer has been lost."""


@dataclass(frozen=True)
class Job:
    """One experiment: a broker, a crowd, and how long."""

    host: str
    port: int
    pid: int
    """Process whose processor time is read."""
    subscribers: int
    payload: int
    """Bytes."""
    qos: int
    seconds: float
    """For each of the three runs: single messages with pauses, without, and saturated."""
    window: int
    """Messages that the slowest subscriber may be behind the publisher."""
    protocol: int = 4
    """4 for MQTT 3.1.1, 5 for MQTT 5.0."""
    gap: float = 0.002
    """Mean pause between single messages, seconds."""
    spin: bool = True
    """Look for events without sleeping while a single message is under way; needs a core of its own."""
    drain: float = 0.4
    """How long to wait, seconds, for what is still on its way at the end."""


@dataclass(frozen=True)
class Delays:
    """One message at a time; delays in microseconds, quantiles over deliveries (`last`: over messages)."""

    messages: int
    seconds: float
    median_us: float
    p95_us: float
    p99_us: float
    last_median_us: float
    """Until the last of the subscribers has it."""
    last_p95_us: float
    last_p99_us: float
    broker_cpu_us: float
    """Processor time of the broker per delivery, idling included."""
    disturbance: float
    """As in `Flow`."""


@dataclass(frozen=True)
class Flow:
    """Saturated. All figures from the counted part of the time."""

    deliveries: int
    seconds: float
    broker_cpu_us: float
    """Processor time of the broker (user + system) per delivery."""
    broker_busy: float
    """Share of the time that the broker used a core (1.0: one whole core)."""
    load_busy: float
    """The same of the load generator: near 1.0 it may have been the limit."""
    disturbance: float
    """Share of the time that broker or load (the worse of the two) wanted a core and did not get it."""
    drained: bool
    """Everything sent had arrived before the drain time was over."""


@dataclass(frozen=True)
class Measurement:
    """Everything that one experiment found out."""

    paused: Delays
    back_to_back: Delays
    flow: Flow


class Meter:
    """Reads what broker and load use of the processor from its making on."""

    def __init__(self, job: Job) -> None:
        self._pids = (job.pid, os.getpid())
        self._before = tuple(usage(pid) for pid in self._pids)

    def read(self) -> tuple[Usage, Usage]:
        """(broker, load) since then."""
        pairs = zip(self._pids, self._before, strict=True)
        broker, load = (usage(pid).since(before) for pid, before in pairs)
        return broker, load


def run(job: Job) -> Measurement:
    """Connect, run one message at a time with and without pauses, run saturated, disconnect.

    Raises `ConnectionFailed` or `ProtocolError` when the broker refuses, loses or cuts off a client.
    """
    frames = PublishFrames(job.payload, job.qos, job.window, job.protocol)
    with Crowd(job.host, job.port, job.subscribers, frames) as crowd:
        # Nothing that lives now dies before the end: no collection may fall into a delay.
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            return Measurement(one_at_a_time(crowd, job, job.gap), one_at_a_time(crowd, job, 0.0),
                               saturated(crowd, job))
        finally:
            gc.enable()
            gc.unfreeze()


def one_at_a_time(crowd: Crowd, job: Job, gap: float) -> Delays:
    """The delays of single messages with pauses of `gap` seconds (mean) between them."""
    pauses = random.Random(20)  # irregular, so that no timer of a broker falls into step; the same for all
    warm_until = time.perf_counter() + WARM_UP_SHARE * job.seconds
    while time.perf_counter() < warm_until:
        _one_message(crowd, job)
        _pause(gap, pauses)
    delays: list[int] = []
    lasts: list[int] = []
    begin, meter = time.perf_counter(), Meter(job)
    end = begin + (1.0 - WARM_UP_SHARE) * job.seconds
    while not lasts or time.perf_counter() < end:
        own, last = _one_message(crowd, job)
        delays += own
        lasts.append(last)
        _pause(gap, pauses)
    seconds = time.perf_counter() - begin
    broker, load = meter.read()
    delays.sort()
    lasts.sort()
    return Delays(messages=len(lasts), seconds=seconds, median_us=quantile(delays, 0.5) / 1e3,
                  p95_us=quantile(delays, 0.95) / 1e3, p99_us=quantile(delays, 0.99) / 1e3,
                  last_median_us=quantile(lasts, 0.5) / 1e3, last_p95_us=quantile(lasts, 0.95) / 1e3,
                  last_p99_us=quantile(lasts, 0.99) / 1e3, broker_cpu_us=1e6 * broker.running / len(delays),
                  disturbance=max(broker.disturbance, load.disturbance))


def _pause(gap: float, pauses: random.Random) -> None:
    if gap:
        time.sleep(pauses.uniform(0.5, 1.5) * gap)


def _one_message(crowd: Crowd, job: Job) -> tuple[list[int], int]:
    """Publish one message: the delay of each delivery, and until the last was complete, in nanoseconds."""
    publisher, received, stride = crowd.publisher, crowd.received, crowd.frames.stride
    own = publisher.socket.fileno()
    clock, poll = time.perf_counter_ns, crowd.poll
    wait = 0.0 if job.spin else 0.1
    waiting = set(crowd.handlers) - {own}
    delays: list[int] = []
    goal = publisher.sent + stride
    begin = clock()
    deadline = begin + int(MESSAGE_SECONDS * 1e9)
    while publisher.sent < goal:
        publisher.push(goal - publisher.sent)
    while waiting:
        ready = poll(wait)
        now = clock()
        for descriptor, events in ready:
            if descriptor == own:
                crowd.handlers[own](events)
            elif events & READABLE and descriptor in waiting:
                waiting.discard(descriptor)
                delays.append(now - begin)
        if now > deadline:
            raise ConnectionFailed(f"A message at QoS {job.qos} had not reached {len(waiting)} of "
                                   f"{job.subscribers} subscribers after {MESSAGE_SECONDS:.0f} s.")
    last = clock() - begin
    for receiver in crowd.receivers:
        receiver.on_readable()
    if job.qos < 2 and min(received) < goal:
        # A broker that writes a message in pieces: its time counts until the last piece. (At QoS 2
        # `received` counts later, when the second exchange is through.)
        _settle(crowd, deadline, goal)
        last = clock() - begin
    _settle(crowd, deadline, goal)
    return delays, last


def _settle(crowd: Crowd, deadline: int, goal: int) -> None:
    """Serve events until every receiver has got `goal` bytes and every acknowledgement is through."""
    while min(crowd.received) < goal or not crowd.publisher.idle:
        crowd.serve(0.05)
        if time.perf_counter_ns() > deadline:
            raise ConnectionFailed(f"A message or its acknowledgements were not through after "
                                   f"{MESSAGE_SECONDS:.0f} s.")


def saturated(crowd: Crowd, job: Job) -> Flow:
    """Deliveries per time with a publisher that always has more."""
    publisher, received, stride = crowd.publisher, crowd.received, crowd.frames.stride
    window = job.window * stride
    batch = max(stride, min(window, publisher.room) // 4)
    clock, serve = time.perf_counter, crowd.serve
    start = clock()
    warm, end = start + WARM_UP_SHARE * job.seconds, start + job.seconds
    counting = False
    before, begin, meter = 0, start, Meter(job)
    while True:
        room = min(min(received) + window - publisher.sent, publisher.room)
        if room >= batch:
            publisher.push(room)
        serve(0.02)
        now = clock()
        if now >= warm and not counting:
            counting = True
            before, begin, meter = sum(received), now, Meter(job)
        elif now >= end and (sum(received) > before or now > end + MESSAGE_SECONDS):
            break  # a broker so slow that nothing came yet gets more time; its rate is still a rate
    seconds = clock() - begin
    deliveries = (sum(received) - before) // stride
    broker, load = meter.read()
    if not deliveries:
        raise ConnectionFailed(f"No delivery was completed in {seconds:.2f} s of a flood at QoS {job.qos}.")
    return Flow(deliveries=deliveries, seconds=seconds, broker_cpu_us=1e6 * broker.running / deliveries,
                broker_busy=broker.running / seconds, load_busy=load.running / seconds,
                disturbance=max(broker.disturbance, load.disturbance), drained=_drain(crowd, job.drain))


def _drain(crowd: Crowd, seconds: float) -> bool:
    """Receive what is still on its way; False when it does not all come in time."""
    deadline = time.perf_counter() + seconds
    whole = crowd.publisher.sent
    # A frame that was cut by the end of the flood stays cut; nobody waits for it.
    whole -= whole % crowd.frames.stride
    while min(crowd.received) < whole:
        if time.perf_counter() > deadline:
            return False
        crowd.serve(0.02)
    return True


def quantile(ordered: Sequence[int], share: float) -> float:
    """The value that `share` of the sorted values do not exceed (nearest rank)."""
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


def main(argv: Sequence[str]) -> int:
    """Serve jobs from standard input until it ends; `argv` may hold the core to run on."""
    if argv:
        pin(os.getpid(), int(argv[0]))
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches it too; who started it will say so
        for line in sys.stdin:
            try:
                answer = asdict(run(Job(**json.loads(line))))
            except MqttsecError as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
