"""The quick look at a layer says what the decoder says, or nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mqttsec.e2e.channel import Place, associated
from mqttsec.e2e.encoding import decode
from mqttsec.e2e.messages import KEY_ID_SIZE, Layer
from mqttsec.e2e.quick import Bound, Known, quick_layer, quick_publisher
from mqttsec.errors import MalformedPacketError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/+#\0", exclude_categories=["Cs", "Cc"]),
                min_size=1, max_size=40).filter(lambda name: name[0] != "$")  # fmt: skip
LAYERS = st.builds(
    Layer,
    st.sampled_from(Place).map(int),
    NAMES,
    st.binary(min_size=KEY_ID_SIZE, max_size=KEY_ID_SIZE),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.one_of(st.binary(max_size=300), st.integers(16_380, 16_390).map(bytes)),
    st.binary(max_size=64),
    st.one_of(st.just(b""), st.binary(max_size=80)),
)


def slowly(data: bytes) -> Layer | None:
    try:
        return decode(data, Layer)
    except MalformedPacketError:
        return None


@given(LAYERS)
def test_a_layer_is_read_as_the_decoder_reads_it(layer: Layer) -> None:
    encoded = layer.encode()
    quick = quick_layer(encoded)
    agree(encoded, layer)
    agree(replace(layer, epoch=0, signature=b"").encode(), layer)
    if layer.signature or len(layer.publisher.encode()) > 127:
        assert quick is None
    else:
        assert quick == layer


@given(LAYERS, st.data())
def test_whatever_it_reads_the_decoder_reads_too(layer: Layer, data: st.DataObject) -> None:
    """Cut, grown or with a changed byte: never anything but what `decode` gives."""
    wrong = bytearray(layer.encode())
    place = data.draw(st.integers(0, len(wrong) - 1))
    change = data.draw(st.sampled_from(("byte", "cut", "grow", "insert")))
    if change == "byte":
        wrong[place] = data.draw(st.integers(0, 255))
    elif change == "cut":
        del wrong[place:]
    elif change == "grow":
        wrong += bytes((place & 1,))
    else:
        wrong.insert(place, data.draw(st.sampled_from((0, 0x80, 0xFF))))
    quick = quick_layer(bytes(wrong))
    if quick is not None:
        assert quick == slowly(bytes(wrong))
    agree(bytes(wrong), layer)


def agree(data: bytes, like: Layer) -> None:
    """The other quick looks see what `quick_layer` sees."""
    quick = quick_layer(data)
    assert quick_publisher(data) == (None if quick is None else (quick.layer, quick.publisher))
    known = Known(like.layer, like.publisher, like.key_id)
    parts = known.split(data)
    ours = quick is not None and (quick.layer, quick.publisher, quick.key_id, quick.epoch) == (
        like.layer, like.publisher, like.key_id, 0
    )  # fmt: skip
    if len(like.publisher.encode()) <= 127:
        assert parts == ((quick.sequence, quick.body, quick.tag) if ours and quick is not None else None)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_left_alone(data: bytes) -> None:
    for begun in (data, b"\1" + bytes((Layer.kind,)) + data):
        quick = quick_layer(begun)
        if quick is not None:
            assert quick == slowly(begun)
        assert quick_publisher(begun) == (None if quick is None else (quick.layer, quick.publisher))


@given(
    LAYERS,
    st.lists(st.text(max_size=60).filter(lambda topic: not any("\ud800" <= c <= "\udfff" for c in topic))),
    st.lists(st.integers(0, 2)),
)
def test_what_is_under_a_tag_is_the_same(layer: Layer, topics: list[str], epochs: list[int]) -> None:
    bound = Bound(layer.layer, layer.publisher, layer.key_id)
    for topic in topics:
        for epoch in (layer.epoch, *epochs):
            made = bound.of(topic, epoch, layer.sequence)
            assert made == associated(replace(layer, epoch=epoch), topic)
