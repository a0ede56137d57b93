"""The broker's hot path inwards: the layer between P and B comes off what a publisher sends."""

from __future__ import annotations

from mqttsec.crypto import NONCE, InvalidTag
from mqttsec.e2e.channel import LayerCheck, LayerRefused, Opener, Place, speaker
from mqttsec.e2e.messages import KEY_ID_SIZE
from mqttsec.e2e.quick import Known, length
from mqttsec.e2e.schemes import Protection
from mqttsec.errors import TamperError

_NEITHER = b"\0\0"
# The lengths of tag and signature: a layer that is sealed and not signed ends with these.
_LENGTH, _SHORTEST, _LONGEST = 2, 0x80, 0x3FFF
# Bytes of the length of a body that is between so many bytes long; others are rare.


class Intake:
    """Takes the messages of one publisher under its K_PB.

    Nearly every message is sealed, is the next in order, and has a sealed layer for S in it: then one frame
    of Python does it all. The `Opener` has the others, and says what is wrong with those that are refused.
    """

    __slots__ = (
        "_before", "_begin", "_body_at", "_decrypt", "_inner", "_inner_at", "_open", "_opener", "_window",
    )  # fmt: skip

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._window = opener.window
        box = opener.box_of(0)
        self._open, self._decrypt = box.open, None if box.aead is None else box.aead.decrypt
        # Under *published* no header is bound, and what is I is not sealed: then no Topic Name is known here.
        quick = opener.setup.hardened and opener.protection is Protection.EI
        self._before = opener.bound.before if quick else {}
        self._begin = Known(opener.place, opener.publisher, opener.key_id).begin
        self._body_at = len(self._begin) + 8 + _LENGTH
        # With which key, and of which epoch, is between P and S.
        inner = Known(Place.END_TO_END, opener.publisher, bytes(KEY_ID_SIZE)).begin
        self._inner, self._inner_at = inner[: -KEY_ID_SIZE - 4], len(inner) + 8

    def take(self, topic: str, payload: bytes) -> bytes:
        """What is to be routed of a message, which from now on is a repetition.

        Raises `LayerRefused` for what this publisher has not protected; nothing has changed then.
        """
        before, window, at = self._before.get(topic), self._window, self._body_at
        size = len(payload) - at - 2
        if before is None or not _SHORTEST <= size <= _LONGEST:
            return self._take_slowly(topic, payload)
        try:
            number = (window.highest + 1).to_bytes(8, "big")
        except OverflowError:  # there is no further one
            return self._take_slowly(topic, payload)
        if not payload.startswith(self._begin + number + length(size)) or payload[-2:] != _NEITHER:
            return self._take_slowly(topic, payload)
        try:
            if self._decrypt is None:
                body = self._open(payload[at:-2], before + number)
            else:
                start = at + NONCE
                body = self._decrypt(payload[at:start], payload[start:-2], before + number)
        except InvalidTag:
            return self._take_slowly(topic, payload)
        except TamperError as error:
            raise LayerRefused(str(error), LayerCheck.TAG) from None
        at = self._inner_at
        size = len(body) - at - _LENGTH - 2
        if not (
            _SHORTEST <= size <= _LONGEST
            and body.startswith(self._inner)
            and body.startswith(length(size), at)
            and body[-2:] == _NEITHER
        ):
            self._check_speaker(body)
        window.highest += 1
        window.run += 1
        return body

    def _take_slowly(self, topic: str, payload: bytes) -> bytes:
        number, body = self._opener.strip(topic, payload)
        self._check_speaker(body)
        self._opener.came(number)
        return body

    def _check_speaker(self, body: bytes) -> None:
        if speaker(body) != self._opener.publisher:
            raise LayerRefused("the message speaks for another publisher", LayerCheck.FORM)
