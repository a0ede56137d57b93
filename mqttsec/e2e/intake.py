"""The broker's hot path inwards: the layer between P and B comes off what a publisher sends.

Specification 1.5 says which layer that is in each scheme, 1.7 what is under its tag, and that a sequence
number serves once.
"""

from __future__ import annotations

from mqttsec.crypto import NONCE, InvalidTag
from mqttsec.e2e.channel import LayerCheck, LayerRefused, Opener, Place, speaker
from mqttsec.e2e.messages import KEY_ID_SIZE
from mqttsec.e2e.quick import Known, beginning, length
from mqttsec.e2e.schemes import Protection
from mqttsec.errors import TamperError

_NEITHER = b"\0\0"
# The lengths of tag and signature: a layer that is sealed and not signed ends with these.
_LENGTH, _SHORTEST, _LONGEST = 2, 0x80, 0x3FFF
# Bytes of the length of a body that is between so many bytes long; others are rare.
_EPOCH, _NUMBER = 4, 8
# Bytes of the epoch and of the sequence number, which stand between key identifier and length.


class Intake:
    """Takes the messages of one publisher under its K_PB.

    Under *hardened* nearly every message is the next in order and has a sealed layer for S in it. Then one
    frame of Python does it all, but for what the suite does. The `Opener` has the others, and says what is
    wrong with those that are refused.
    """

    __slots__ = (
        "_before", "_begin", "_body_at", "_check", "_decrypt", "_inner", "_inner_at", "_open", "_opener",
        "_tag_size", "_window",
    )  # fmt: skip

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._window = opener.window
        box, sealed = opener.box_of(0), opener.protection is Protection.EI
        self._decrypt = box.aead.decrypt if sealed and box.aead is not None else None
        self._open, self._check = box.open, None if sealed else box.check
        self._tag_size = 0 if sealed else opener.setup.ciphers.tag_size
        # Under *published* no header is bound and no number looked at: then no Topic Name is known here.
        self._before = opener.bound.before if opener.setup.hardened else {}
        self._begin = Known(opener.place, opener.publisher, opener.key_id).begin
        self._body_at = len(self._begin) + _NUMBER + _LENGTH
        # Key and epoch of the layer inside are between P and S: B looks at what is before and after them.
        self._inner = beginning(Place.END_TO_END, opener.publisher)
        self._inner_at = len(self._inner) + KEY_ID_SIZE + _EPOCH + _NUMBER

    def take(self, topic: str, payload: bytes) -> bytes:
        """What is to be routed of a message, which from now on is a repetition.

        Raises `LayerRefused` for what this publisher has not protected; nothing has changed then.
        """
        before, window, at = self._before.get(topic), self._window, self._body_at
        # After the body come the lengths of tag and signature, and the tag.
        end = len(payload) - self._tag_size - 2
        size = end - at
        if before is None or not _SHORTEST <= size <= _LONGEST:
            return self._take_slowly(topic, payload)
        try:
            number = (window.highest + 1).to_bytes(_NUMBER, "big")
        except OverflowError:  # there is no further one
            return self._take_slowly(topic, payload)
        begin = self._begin + number + length(size)
        if not payload.startswith(begin) or payload[end] != self._tag_size or payload[-1]:
            return self._take_slowly(topic, payload)
        try:
            if self._decrypt is not None:
                start = at + NONCE
                body = self._decrypt(payload[at:start], payload[start:end], before + number)
            elif self._check is None:
                body = self._open(payload[at:end], before + number)
            else:
                body = payload[at:end]
                self._check(before + number + body, payload[end + 1 : -1])
        except InvalidTag:
            return self._take_slowly(topic, payload)
        except TamperError as error:  # of a box, which may have counted it: not a second time
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
