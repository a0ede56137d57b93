"""The words of the E2E paper: parties, keys, and the named terms that messages carry and signatures cover.

A term is a name, not a value: `R_P` is P's ephemeral public key of Block 1 in every run. Each party of
a run keeps its own values for the terms it knows; what it signs and what it checks is written in terms
(`steps`), so that the same lines make the bytes on the wire and the symbolic model.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(str, enum.Enum):
    """Who takes part (specification 1.1)."""

    P = "P"
    """A publisher."""
    B = "B"
    """The broker."""
    S = "S"
    """A subscriber."""


class KeyName(str, enum.Enum):
    """The keys of the paper (specification 1.2)."""

    K_PB = "K_PB"
    """Channel key of a publisher and the broker."""
    K_BS = "K_BSi"
    """Channel key of the broker and one subscriber."""
    K_PS = "K_PSi"
    """End-to-end key of a publisher and one subscriber."""
    GK_B = "GK_B"
    """The broker's group key."""
    GK_P = "GK_P"
    """The publisher's end-to-end group key; the broker must never know it."""

    @property
    def is_group(self) -> bool:
        """True for a key that all subscribers share: what it protects is made once for all."""
        return self in (KeyName.GK_B, KeyName.GK_P)

    @property
    def holders(self) -> frozenset[Role]:
        """Who knows the key after an honest handshake."""
        return _HOLDERS[self]


_HOLDERS = {
    KeyName.K_PB: frozenset({Role.P, Role.B}),
    KeyName.K_BS: frozenset({Role.B, Role.S}),
    KeyName.K_PS: frozenset({Role.P, Role.S}),
    KeyName.GK_B: frozenset({Role.B, Role.S}),
    KeyName.GK_P: frozenset({Role.P, Role.S}),
}


class Kind(str, enum.Enum):
    """What sort of value stands for a term."""

    TAG = "tag"
    """A constant that says which message is signed."""
    IDENTITY = "identity"
    """A party's name: its Client Identifier, and the subject of its certificate."""
    TOPIC = "topic"
    """The Topic Name that a subscriber asks for."""
    EPHEMERAL = "ephemeral"
    """A public key R = r*G made for one run; who made it keeps r."""
    TIMESTAMP = "timestamp"
    """Milliseconds since 1970."""
    SIGNATURE = "signature"
    """A signature; what it covers depends on the profile (`steps`)."""
    CERTIFICATE = "certificate"
    """A certificate of the course's authority."""
    WRAP = "wrap"
    """A group key, sealed under a Diffie-Hellman key."""
    HEADER = "header"
    """A field of a data message in clear."""
    BODY = "body"
    """The protected part of a data message."""


@dataclass(frozen=True)
class Term:
    """A name for a value that parties exchange, sign or check."""

    name: str
    """As the specification writes it: R_SP, T_P', Cert_B."""
    kind: Kind
    """What sort of value it is."""
    owner: Role | None = None
    """Who makes it; None for what belongs to nobody (a tag)."""

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        # Terms are the keys of every run; their names differ, and a string remembers its hash.
        return hash(self.name)


# Who takes part, and what is asked for.
ID_P = Term("P", Kind.IDENTITY, Role.P)
ID_B = Term("B", Kind.IDENTITY, Role.B)
ID_S = Term("S", Kind.IDENTITY, Role.S)
TOPIC = Term("topic", Kind.TOPIC, Role.S)

IDENTITY_OF = {Role.P: ID_P, Role.B: ID_B, Role.S: ID_S}
"""The term for each party's name."""

# Ephemeral keys. The first letter is the maker, the second (in Block 2) the one it is meant for.
R_P = Term("R_P", Kind.EPHEMERAL, Role.P)
R_B = Term("R_B", Kind.EPHEMERAL, Role.B)
R_SB = Term("R_SB", Kind.EPHEMERAL, Role.S)
R_SP = Term("R_SP", Kind.EPHEMERAL, Role.S)
R_PS = Term("R_PS", Kind.EPHEMERAL, Role.P)
R_BS = Term("R_BS", Kind.EPHEMERAL, Role.B)

# Timestamps. A prime marks the one of Block 2 where the paper would give two the same name.
T_P = Term("T_P", Kind.TIMESTAMP, Role.P)
T_B = Term("T_B", Kind.TIMESTAMP, Role.B)
T_S = Term("T_S", Kind.TIMESTAMP, Role.S)
T_P2 = Term("T_P'", Kind.TIMESTAMP, Role.P)
T_B2 = Term("T_B'", Kind.TIMESTAMP, Role.B)

CERT_P = Term("Cert_P", Kind.CERTIFICATE, Role.P)
CERT_B = Term("Cert_B", Kind.CERTIFICATE, Role.B)
CERT_S = Term("Cert_S", Kind.CERTIFICATE, Role.S)

CERTIFICATE_OF = {Role.P: CERT_P, Role.B: CERT_B, Role.S: CERT_S}
"""The term for each party's certificate."""

# Signatures, each named by the tag of the message that it signs.
SIG_C1 = Term("Sig_P:c1", Kind.SIGNATURE, Role.P)
SIG_C2 = Term("Sig_B:c2", Kind.SIGNATURE, Role.B)
SIG_C3 = Term("Sig_P:c3", Kind.SIGNATURE, Role.P)
SIG_S1 = Term("Sig_S:s1", Kind.SIGNATURE, Role.S)
SIG_P2 = Term("Sig_P:p2", Kind.SIGNATURE, Role.P)
SIG_B2 = Term("Sig_B:b2", Kind.SIGNATURE, Role.B)
SIG_S3 = Term("Sig_S:s3", Kind.SIGNATURE, Role.S)
SIG_S4 = Term("Sig_S:s4", Kind.SIGNATURE, Role.S)

W_P = Term("W_P", Kind.WRAP, Role.P)
W_B = Term("W_B", Kind.WRAP, Role.B)


def tag(name: str) -> Term:
    """The constant that begins what a signature of the *hardened* profile covers."""
    return Term(name, Kind.TAG)
