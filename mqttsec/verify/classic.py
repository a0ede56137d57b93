"""Protocols about which much is known, in the same framework: what comes out for them checks us.

- Needham and Schroeder's public-key protocol (1978): 17 years later Lowe found that a dishonest B makes C
  believe that it talks to A. His repair adds B's name to the second message (Lowe, 1996).
- Signed Diffie-Hellman where each signs both halves: identity misbinding (Diffie, van Oorschot and Wiener,
  1992; the name is Krawczyk's, 2003). With the peer's name under the signature it is ISO/IEC 9798-3; with a
  MAC over the own name under the new key it is SIGMA, which IKE and TLS 1.3 follow. Both are proved.
"""

from __future__ import annotations

from mqttsec.verify.cases import Goal, Property
from mqttsec.verify.roles import (
    Claim,
    Const,
    Encrypted,
    Item,
    Part,
    Protocol,
    Receive,
    Role,
    Sealed,
    Send,
    Shared,
    Signed,
    Sort,
    Var,
)

HONEST = {"A": "alice", "B": "bob"}
"""Who is honest."""

A, B = Var("A", Sort.NAME), Var("B", Sort.NAME)
N_A, N_B = Var("N_A", Sort.NONCE), Var("N_B", Sort.NONCE)
X, Y = Var("X", Sort.PUBLIC), Var("Y", Sort.PUBLIC)
_KINDS = {A: "A", B: "B"}

_DIRECTED = (Property.ALIVENESS, Property.AGREEMENT, Property.ONCE, Property.PAIRING)

NONCE_GOALS = (
    Goal(Property.SECRECY, "N_A"),
    Goal(Property.SECRECY, "N_B"),
    Goal(Property.FORWARD, "N_A"),
    *(Goal(each, direction) for direction in ("A-B", "B-A") for each in _DIRECTED),
)
"""What is asked of Needham-Schroeder."""

KEY_GOALS = (
    Goal(Property.SECRECY, "K"),
    Goal(Property.FORWARD, "K"),
    *(Goal(each, direction) for direction in ("A-B", "B-A") for each in (*_DIRECTED, Property.BINDING)),
)
"""What is asked of a key agreement."""


def needham_schroeder(repaired: bool = False) -> Protocol:
    """A sends {N_A, A} to B, B sends {N_A, N_B} back, A sends {N_B}; all under public keys.

    `repaired`: B's name stands in the second message as well.
    """
    first = Encrypted("1", B, (N_A, A))
    second = Encrypted("2", A, (N_A, N_B, B) if repaired else (N_A, N_B))
    third = Encrypted("3", B, (N_B,))
    both = (N_A, N_B)
    acts_a = (_send(1, first, N_A), _receive(2, second), _send(3, third))
    acts_b = (_receive(1, first), _send(2, second, N_B), _receive(3, third))
    return Protocol(
        "Lowe's repair" if repaired else "Needham-Schroeder",
        (
            Role(
                "A", "A", A, (B,), acts_a, tuple(Claim("B", B, own, both, ("B",), 2) for own in both), _KINDS
            ),
            Role(
                "B", "B", B, (A,), acts_b, tuple(Claim("A", A, own, both, ("A",), 2) for own in both), _KINDS
            ),
        ),
        HONEST,
    )


def signed_diffie_hellman(names: bool = False, macs: bool = False) -> Protocol:
    """A sends X; B sends Y and Sig_B(X, Y); A sends Sig_A(Y, X).

    `names`: each signs the peer's name too (ISO/IEC 9798-3). `macs`: with its signature, each sends a MAC of
    its own name under the new key (SIGMA).
    """
    signed_b = Signed("Sig_B", B, (Const("2"), X, Y, *(_one(A) if names else ())))
    signed_a = Signed("Sig_A", A, (Const("3"), Y, X, *(_one(B) if names else ())))
    answer: tuple[Part, ...] = (Y, signed_b, *((_mac("M_B", B),) if macs else ()))
    last: tuple[Part, ...] = (signed_a, *((_mac("M_A", A),) if macs else ()))
    key = Shared("K", (X, Y))
    mac_a = (Var("M_A", Sort.NONCE),) if macs else ()
    mac_b = (Var("M_B", Sort.NONCE),) if macs else ()
    acts_a = (
        Send(1, "1", (X,), (X,), (X,)),
        Receive(2, "2", answer),
        Send(3, "3", last, mac_a, last),
    )
    acts_b = (Receive(1, "1", (X,)), Send(2, "2", answer, (Y, *mac_b), answer), Receive(3, "3", last))
    name = "SIGMA" if macs else "ISO/IEC 9798-3" if names else "signed Diffie-Hellman"
    return Protocol(
        name,
        (
            Role("A", "A", A, (B,), acts_a, (Claim("B", B, key, (X, Y), ("B",), 2),), _KINDS),
            Role("B", "B", B, (A,), acts_b, (Claim("A", A, key, (X, Y), ("A",), 2),), _KINDS),
        ),
        HONEST,
    )


def _send(number: int, part: Encrypted, *fresh: Var) -> Send:
    return Send(number, str(number), (part,), fresh, (part,))


def _receive(number: int, part: Encrypted) -> Receive:
    return Receive(number, str(number), (part,))


def _one(name: Var) -> tuple[Item, ...]:
    return (name,)


def _mac(name: str, owner: Var) -> Sealed:
    """A MAC of a name: something that only who has the key can make, bound to the name."""
    return Sealed(name, Shared("K_m", (X, Y), (Const("mac"), owner)), Var(name, Sort.NONCE))
