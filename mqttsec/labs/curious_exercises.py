"""The exercises and the questionnaire of lab 01; answers are recomputed from the running system."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.check import ExerciseBook, number, require
from mqttsec.labs.lossy_link import LossyRun, lossy_runs, seeds
from mqttsec.labs.weather_run import Subscriber, one_packet, publish_topics
from mqttsec.packets import Properties, Publish, decode
from mqttsec.packets.wire import MAX_VARIABLE_BYTE_INTEGER, variable_byte_integer

if TYPE_CHECKING:
    from mqttsec.labs.curious_broker import CuriousBroker

BOOK = ExerciseBook("lab01", "MQTT and the curious broker")

PUZZLE_TOPICS = (
    "seattle", "seattle/wind", "seattle/pier/wind", "Seattle/wind", "/seattle/wind", "$lab/wind",
)
"""What is published in exercise 1, numbered from 1."""
PUZZLE_FILTERS = ("seattle/+", "seattle/#", "+/wind", "#", "/+/wind")
"""What is subscribed to in exercise 1."""

# -- 1: who gets it -------------------------------------------------------------------------------


@BOOK.exercise("Who gets which message?", todo="replace each ... by a set of topic numbers, such as {1, 3}")
def exercise_1(lab: CuriousBroker, answer: object) -> str:
    """Publishes the topics through the broker to one subscriber a filter."""
    require(isinstance(answer, dict), "give a dict: each Topic Filter with a set of topic numbers")
    assert isinstance(answer, dict)
    for name in PUZZLE_FILTERS:
        require(name in answer, f"there is nothing for {name!r}")
        require(isinstance(answer[name], (set, frozenset)), f"give a set of topic numbers for {name!r}")
    delivered = publish_topics(
        PUZZLE_TOPICS, [Subscriber(f"client-{place}", name) for place, name in enumerate(PUZZLE_FILTERS)]
    )
    for place, name in enumerate(PUZZLE_FILTERS):
        right = {PUZZLE_TOPICS.index(topic) + 1 for topic in delivered[f"client-{place}"]}
        for given in answer[name]:
            require(given in range(1, len(PUZZLE_TOPICS) + 1), f"{given!r} is no topic number for {name!r}")
        for wrong in sorted(answer[name] ^ right):
            require(False, _filter_hint(name, PUZZLE_TOPICS[wrong - 1], wrong in right))
    total = sum(map(len, delivered.values()))
    return f"the broker delivered {total} copies of {len(PUZZLE_TOPICS)} messages just so"


def _filter_hint(topic_filter: str, topic: str, delivered: bool) -> str:
    fact = f"{topic_filter!r}: the broker {'did' if delivered else 'did not'} deliver {topic!r}; "
    if topic.startswith("$"):
        return fact + "a filter that begins with a wildcard does not match a topic that begins with $"
    if topic_filter.endswith("/#") and topic_filter == f"{topic}/#":
        return fact + "# includes the level above it"
    if topic[:1].isupper():
        return fact + "topics are case sensitive" if not delivered else fact + "+ and # match any letters"
    if topic.startswith("/") or topic_filter.startswith("/"):
        return fact + "a / in front makes an empty first level, which counts"
    if "+" in topic_filter:
        return fact + "+ stands for exactly one level"
    return fact + "# stands for any number of levels, none included"


# -- 2: bytes by hand -----------------------------------------------------------------------------


def mystery_packet(seed: int) -> bytes:
    """A request of the dashboard as the broker received it: QoS 1, with a Response Topic."""
    rng = random.Random(seed)
    packet_id = 256 * rng.randrange(1, 100) + rng.randrange(128, 256)
    reply = f"reply/{rng.choice(('rain', 'wind', 'frost', 'fog'))}/{rng.randrange(10, 100)}"
    data = bytes(rng.randrange(256) for _ in range(4))
    properties = Properties(response_topic=reply, correlation_data=data)
    return one_packet(Publish("seattle/ask", b"how much?", 1, packet_id=packet_id, properties=properties))


@BOOK.exercise(
    "Read a packet by hand", todo="replace ... by the Packet Identifier (a number) and the Response Topic"
)
def exercise_2(lab: CuriousBroker, packet_id: object, response_topic: object) -> str:
    """Decodes the packet that the broker received."""
    packet = decode(mystery_packet(lab.seed))
    assert isinstance(packet, Publish) and packet.packet_id is not None
    right = packet.packet_id
    given = int(number(packet_id, "the Packet Identifier"))
    high, low = divmod(right, 256)
    require(given != low * 256 + high, "its two bytes are the other way round: MQTT is big-endian")
    require(given not in (high, low), "a Packet Identifier has two bytes; you took one of them")
    require(given != len(packet.topic), "that is the length of the Topic Name, the two bytes in front of it")
    require(given == right, "the Packet Identifier follows the Topic Name directly, in two bytes")
    require(isinstance(response_topic, str), "give the Response Topic as a text in quotes")
    topic = packet.properties.response_topic
    require(response_topic != packet.topic, "that is the Topic Name; the Response Topic is the property 08")
    require(response_topic == topic,
            "not the Response Topic: after its id 08 come two bytes of length, then so many ASCII letters")
    return f"Packet Identifier {right} and Response Topic {topic!r}"


# -- 3: a decoder ---------------------------------------------------------------------------------


@BOOK.exercise("Decode the Remaining Length", todo="write the body of the function")
def exercise_3(lab: CuriousBroker, decoder: Callable[[bytes], object]) -> str:
    """Runs the reader's function on what the codec encodes."""
    require(callable(decoder), "give the function itself: check.exercise_3(remaining_length)")
    rng = random.Random(lab.seed)
    # 321 before 128: of 128 two usual slips make the same wrong number.
    values = [0, 1, 127, 321, 128, 16_383, 16_384, 2_097_151, 2_097_152, MAX_VARIABLE_BYTE_INTEGER]
    values += [rng.randrange(1 << rng.randrange(1, 28)) for _ in range(500)]
    for value in values:
        encoded = variable_byte_integer(value)
        # What follows in the packet must not matter.
        _judge_decoder(decoder(encoded + b"\xff\x00\x80"), value, encoded)
    return f"right for {len(values)} lengths of 1 to 4 bytes"


def _judge_decoder(result: object, value: int, encoded: bytes) -> None:
    shown = encoded.hex(" ")
    require(isinstance(result, tuple) and len(result) == 2,
            f"for {shown} it returned {result!r}: return the pair (value, number of bytes)")
    assert isinstance(result, tuple)
    got, used = result
    if (got, used) == (value, len(encoded)):
        return
    size = len(encoded)
    likely: dict[object, str] = {
        int.from_bytes(encoded, "big"): "it is no plain big-endian number: each byte carries 7 bits",
        sum(byte << 7 * place for place, byte in enumerate(encoded)): "take the top bit away: byte & 0x7F",
        sum((byte & 0x7F) << 8 * place for place, byte in enumerate(encoded)):
            "each byte carries 7 bits, not 8: the next counts 128 times as much",
        sum((byte & 0x7F) << 7 * (size - 1 - place) for place, byte in enumerate(encoded)):
            "the first byte is the least significant one",
        encoded[0] & 0x7F: "while the top bit is set, another byte follows",
    }
    if got != value:
        hint = likely.get(got, "try 80 01 by hand: it stands for 128")
        require(False, f"for {shown} it says {got!r}, and it is {value}: {hint}")
    require(False, f"for {shown} the value is right, but it took {size} bytes, not {used!r}")


# -- 4: sizes tell --------------------------------------------------------------------------------


@BOOK.exercise("What lengths give away", todo="replace ... by a set of day numbers, such as {1, 5}")
def exercise_4(lab: CuriousBroker, answer: object) -> str:
    """Compares with the weather that the station published."""
    require(isinstance(answer, (set, frozenset, list, tuple)), "give a set of day numbers, such as {1, 5}")
    assert isinstance(answer, (set, frozenset, list, tuple))
    table = lab.sizes()
    shown = lab.readings[: len(table)]
    right = {day for day, reading in enumerate(shown, start=1) if reading.weather == "drizzle"}
    given = set(answer)
    require(given <= set(table.column("day")), f"the table has the days 1 to {len(table)}")
    for wrong in sorted(given - right):
        require(False, f"no drizzle on day {wrong}: which of the four messages is the weather, and which of "
                       "the five words is the longest?")
    missing = len(right - given)
    require(not missing, f"{missing} day{'s' * (missing > 1)} missing: 'drizzle' has the most letters of all "
                         "five words")
    return f"{len(right)} days of drizzle, read from lengths alone"


# -- 5: the right QoS -----------------------------------------------------------------------------

JOBS: dict[str, Callable[[LossyRun], bool]] = {
    "curve": lambda run: len(run.received) > 0,
    "alarm": lambda run: run.lost == 0,
    "total": lambda run: run.exactly_once,
}
"""What each job of exercise 5 needs of a run."""
_NEEDS = {
    "curve": "a missing point does no harm",
    "alarm": "none may be missing, a second one does no harm",
    "total": "each must be added once: none missing, none twice",
}
_RUNS = 6
_BREAKING = 0.15


@BOOK.exercise("The right QoS for the job", todo="replace each ... by 0, 1 or 2")
def exercise_5(lab: CuriousBroker, answer: object) -> str:
    """Runs each QoS over several breaking links: which hold, and which of them takes the fewest packets?"""
    require(isinstance(answer, dict), "give a dict: each job with its QoS")
    assert isinstance(answer, dict)
    for job in JOBS:
        require(job in answer, f"there is no QoS for {job!r}")
        require(answer[job] in (0, 1, 2), f"{job}: choose QoS 0, 1 or 2")
    runs = [lossy_runs(lab.readings[:20], _BREAKING, seed) for seed in seeds(lab.seed, _RUNS)]
    packets = [sum(levels[qos].packets for levels in runs) for qos in range(3)]
    for job, holds in JOBS.items():
        right = [qos for qos in range(3) if all(holds(levels[qos]) for levels in runs)]
        qos = answer[job]
        lost = sum(levels[qos].lost for levels in runs)
        twice = sum(levels[qos].duplicates for levels in runs)
        require(qos in right, f"{job} at QoS {qos}: in {_RUNS} runs {lost} messages were lost and {twice} "
                              f"came again, but {_NEEDS[job]}")
        best = min(right, key=lambda level: packets[level])
        require(qos == best, f"{job} at QoS {qos} works, with {packets[qos]} packets; QoS {best} does it "
                             f"with {packets[best]}, as {_NEEDS[job]}")
    counts = ", ".join(map(str, packets))
    return f"every job was done in {_RUNS} runs over a breaking link; packets at QoS 0, 1, 2: {counts}"


# -- the questionnaire ----------------------------------------------------------------------------

BOOK.question(
    "The dashboard uses TLS to the broker. Who else can read its messages?",
    {"a": "the broker", "b": "nobody", "c": "whoever listens on the network"},
    "a", "TLS ends at the broker: it protects the channel, not the message",
    "section 3",
)
BOOK.question(
    "A message is published at QoS 2 to a subscription of QoS 1. At which QoS is it delivered?",
    {"a": "0", "b": "1", "c": "2"},
    "b", "the smaller of both; each hop has its own QoS and its own Packet Identifiers",
    "packets 11 and 12 in section 2",
)
BOOK.question(
    "At QoS 1 the PUBACK is lost with the connection. What does the publisher do when it is back?",
    {"a": "nothing", "b": "sends a new message", "c": "sends the PUBLISH again with DUP set"},
    "c", "it cannot know that the message had arrived; so the subscriber may get it twice",
    "section 4",
)
BOOK.question(
    "What does 'exactly once' of QoS 2 cover?",
    {"a": "each hop, client to broker", "b": "the whole way in one piece", "c": "storage on disk"},
    "a", "publisher-broker and broker-subscriber each do it; the broker in the middle is trusted",
    "the ladder of QoS 2 in section 4",
)
BOOK.question(
    "The payloads are encrypted end to end. What does the broker still learn?",
    {"a": "nothing", "b": "how many clients there are", "c": "topics, sizes, times, who talks to whom"},
    "c", "it needs the topic to route, and sizes and times come with every packet",
    "section 3",
)
BOOK.question(
    "Which subscription gets a message on $lab/wind?",
    {"a": "#", "b": "+/wind", "c": "$lab/#"},
    "c", "a filter that begins with a wildcard does not match topics that begin with $ [MQTT-4.7.2-1]",
    "exercise 1",
)
BOOK.question(
    "Who learns from a trace that the old logger is still in use?",
    {"a": "the broker alone", "b": "the broker, and a listener where there is no TLS", "c": "nobody"},
    "b", "CONNECT says MQTT 3.1.1 in its fifth field, in plain",
    "section 3",
)
