"""The messages of the schemes, each as the frozen dataclass that is its format (see `encoding`).

The number of the step and the name of the field are those of the specification, 1.3 to 1.5. Steps 16
to 20, which confirm a handshake, are ours (`steps`).
"""

from __future__ import annotations

from dataclasses import dataclass

from mqttsec.e2e.encoding import (
    LONGEST_CERTIFICATE,
    LONGEST_EPHEMERAL,
    LONGEST_SIGNATURE,
    LONGEST_WRAP,
    Message,
    carries,
    message,
)
from mqttsec.e2e.terms import (
    CERT_B,
    CERT_P,
    CERT_S,
    ID_P,
    ID_S,
    R_B,
    R_BS,
    R_P,
    R_PS,
    R_SB,
    R_SP,
    SIG_B2,
    SIG_C1,
    SIG_C2,
    SIG_C3,
    SIG_P2,
    SIG_S1,
    SIG_S3,
    SIG_S4,
    T_B,
    T_B2,
    T_P,
    T_P2,
    T_S,
    TOPIC,
    W_B,
    W_P,
)

KEY_ID_SIZE = 8
"""Bytes of a key's identifier."""

# Block 1 ---------------------------------------------------------------------------------------


@message(1)
@dataclass(frozen=True)
class PublisherHello(Message):
    """Step 1, P to B: who connects, and its half of K_PB."""

    publisher: str = carries(ID_P)
    """id_P, the Client Identifier."""
    ephemeral: bytes = carries(R_P, at_most=LONGEST_EPHEMERAL)
    """R_P, P's challenge and ephemeral public key."""
    timestamp: int = carries(T_P, size=8)
    """T_P in milliseconds since 1970."""
    signature: bytes = carries(SIG_C1, at_most=LONGEST_SIGNATURE)
    """Sig_P."""
    certificate: bytes = carries(CERT_P, at_most=LONGEST_CERTIFICATE)
    """Cert_P."""


@message(2)
@dataclass(frozen=True)
class BrokerHello(Message):
    """Step 3, B to P: B's half of K_PB."""

    ephemeral: bytes = carries(R_B, at_most=LONGEST_EPHEMERAL)
    """R_B."""
    timestamp: int = carries(T_B, size=8)
    """T_B in milliseconds since 1970."""
    signature: bytes = carries(SIG_C2, at_most=LONGEST_SIGNATURE)
    """Sig_B."""
    certificate: bytes = carries(CERT_B, at_most=LONGEST_CERTIFICATE)
    """Cert_B."""


# Block 2 ---------------------------------------------------------------------------------------


@message(3)
@dataclass(frozen=True)
class WrappedKey(Message):
    """W_P of step 13, W_B of step 14 and each row of a `GroupUpdate`: a group's secret for one member."""

    key_id: bytes = carries(size=KEY_ID_SIZE)
    """Names the group's generation, as the header of a data message does."""
    epoch: int = carries(size=4)
    """The epoch that the secret opens."""
    sealed: bytes = carries(at_most=LONGEST_WRAP)
    """The secret, sealed under K_PSi or K_BSi."""


@message(4)
@dataclass(frozen=True)
class SubscriberRequest(Message):
    """Step 5, S to B, and step 7, B to P, unchanged: who wants what, and its halves of both keys."""

    subscriber: str = carries(ID_S)
    """id_S, the Client Identifier."""
    publisher: str = carries(ID_P)
    """Of the intention: from whom."""
    topic: str = carries(TOPIC)
    """Of the intention: what, a Topic Name."""
    ephemeral_broker: bytes = carries(R_SB, at_most=LONGEST_EPHEMERAL)
    """R_SB, for K_BSi."""
    ephemeral_publisher: bytes = carries(R_SP, at_most=LONGEST_EPHEMERAL)
    """R_SP, for K_PSi."""
    timestamp: int = carries(T_S, size=8)
    """T_S in milliseconds since 1970."""
    signature: bytes = carries(SIG_S1, at_most=LONGEST_SIGNATURE)
    """Sig_S."""
    certificate: bytes = carries(CERT_S, at_most=LONGEST_CERTIFICATE)
    """Cert_S."""


@message(5)
@dataclass(frozen=True)
class KeepWaiting(Message):
    """Steps 9 and 11, B to S: "still processing, keep waiting"."""


@message(6)
@dataclass(frozen=True)
class StillWaiting(Message):
    """Steps 10 and 12, S to B: still here."""


@message(7)
@dataclass(frozen=True)
class PublisherAnswer(Message):
    """Step 13, P to B, and within step 14 on to S: P's half of K_PSi, and its group key."""

    ephemeral: bytes = carries(R_PS, at_most=LONGEST_EPHEMERAL)
    """R_PS."""
    timestamp: int = carries(T_P2, size=8)
    """T_P' in milliseconds since 1970."""
    signature: bytes = carries(SIG_P2, at_most=LONGEST_SIGNATURE)
    """Sig_P."""
    certificate: bytes = carries(CERT_P, at_most=LONGEST_CERTIFICATE)
    """Cert_P."""
    wrapped: WrappedKey | None = carries(W_P)
    """W_P with its epoch, where the end-to-end key is a group's (Schemes 3 and 4)."""


@message(8)
@dataclass(frozen=True)
class Refusal(Message):
    """In place of step 13, P to B: P will not serve this subscriber. Unsigned: it can only deny."""

    reason_code: int = carries(size=1)
    """A Reason Code of 0x80 or above, for S's CONNACK."""


@message(9)
@dataclass(frozen=True)
class BrokerAnswer(Message):
    """Step 14, B to S: P's whole answer, B's half of K_BSi, and its group key."""

    answer: PublisherAnswer = carries()
    """Step 13 as it came."""
    ephemeral: bytes = carries(R_BS, at_most=LONGEST_EPHEMERAL)
    """R_BS."""
    timestamp: int = carries(T_B2, size=8)
    """T_B' in milliseconds since 1970."""
    signature: bytes = carries(SIG_B2, at_most=LONGEST_SIGNATURE)
    """Sig_B."""
    certificate: bytes = carries(CERT_B, at_most=LONGEST_CERTIFICATE)
    """Cert_B."""
    wrapped: WrappedKey | None = carries(W_B)
    """W_B with its epoch, where the broker's key is a group's (Schemes 3 and 4)."""


# The confirming messages, an option of *hardened* ----------------------------------------------


@message(10)
@dataclass(frozen=True)
class PublisherConfirm(Message):
    """Step 16, P to B: P has B's half, so this is no replay."""

    signature: bytes = carries(SIG_C3, at_most=LONGEST_SIGNATURE)
    """Sig_P over both halves of K_PB."""


@message(11)
@dataclass(frozen=True)
class SubscriberConfirm(Message):
    """Step 18, S to B: S has both halves."""

    signature_broker: bytes = carries(SIG_S4, at_most=LONGEST_SIGNATURE)
    """Sig_S over both halves of K_BSi."""
    signature_publisher: bytes = carries(SIG_S3, at_most=LONGEST_SIGNATURE)
    """Sig_S over both halves of K_PSi, for P."""


@message(12)
@dataclass(frozen=True)
class ForwardedConfirm(Message):
    """Step 19, B to P: the part of step 18 that is meant for P."""

    signature: bytes = carries(SIG_S3, at_most=LONGEST_SIGNATURE)
    """Sig_S over both halves of K_PSi."""


# Block 3 ---------------------------------------------------------------------------------------


@message(20)
@dataclass(frozen=True)
class Layer(Message):
    """One layer of a data message: its header in clear, and what the header's key protects."""

    layer: int = carries(size=1)
    """Which: 1 inner (P to S), 2 P to B, 3 B to S."""
    publisher: str = carries()
    """From whom the Application Message is."""
    key_id: bytes = carries(size=KEY_ID_SIZE)
    """Names the key."""
    epoch: int = carries(size=4)
    """The epoch of a group's key; 0 for the key of a pair."""
    sequence: int = carries(size=8)
    """Counts the messages under this key on this topic, from 1."""
    body: bytes = carries()
    """The layer below: sealed (EI: ciphertext and tag), or in clear (I)."""
    tag: bytes = carries(at_most=64)
    """The tag of a layer that is I; empty where the body is sealed."""
    signature: bytes = carries(at_most=LONGEST_SIGNATURE)
    """Of the publisher, over the inner layer, where messages are signed (*hardened*, optional)."""


# Group keys ------------------------------------------------------------------------------------


@message(30)
@dataclass(frozen=True)
class GroupUpdate(Message):
    """The holder of a group key to one member: a new generation, after somebody left (*hardened*)."""

    publisher: str = carries()
    """Whose topic."""
    topic: str = carries(TOPIC)
    """Which topic."""
    key: str = carries()
    """GK_P or GK_B."""
    under: bytes = carries(size=KEY_ID_SIZE)
    """Names the pair's key that seals it."""
    wrapped: WrappedKey = carries()
    """The new secret for this member."""


@message(31)
@dataclass(frozen=True)
class Membership(Message):
    """B to P, under a tag of K_PB: a subscriber left (*hardened*), so that P renews GK_P."""

    subscriber: str = carries(ID_S)
    """Who."""
    topic: str = carries(TOPIC)
    """Which topic of P's."""
    sequence: int = carries(size=8)
    """Counts the notices to P, from 1."""
    tag: bytes = carries(at_most=64)
    """H(K_PB, the fields above)."""
