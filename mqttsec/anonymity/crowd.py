"""The crowd: n bridge brokers, c of which collaborate, and how a path through them is drawn.

The initiator is an honest bridge broker: that of a publisher, or of a subscriber. It always hands on to a
peer; each next one hands on to a peer with probability p_f, else to the public broker. Whether a broker
may draw itself makes two variants, and every result says which:

- A: it may, as in Crowds (Reiter and Rubin, 1998); the peer is uniform over all n.
- B: it never does; the peer is uniform over the n - 1 others.

All formulas of this room are plain Python: no NumPy, no threads, no sockets.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mqttsec.errors import ConfigurationError


class Variant(str, enum.Enum):
    """Whether a bridge broker may draw itself as the next hop."""

    A = "A"
    """It may: the peer is uniform over all n brokers, as in Crowds."""
    B = "B"
    """It never does: the peer is uniform over the n - 1 others."""

    @property
    def words(self) -> str:
        """`A (may pick itself)`."""
        return "A (may pick itself)" if self is Variant.A else "B (never itself)"


@dataclass(frozen=True)
class Crowd:
    """n bridge brokers of which c collaborate, the forwarding probability, and the variant.

    Raises `ConfigurationError` if such a crowd cannot be; the message says what to choose.
    """

    n: int
    """Bridge brokers in all, at least 2."""
    c: int
    """Collaborating ones, 0 to n - 1: the initiator is honest."""
    p_f: float
    """Probability with which a bridge broker, the first one apart, forwards to a peer: 0 <= p_f < 1."""
    variant: Variant = Variant.A
    """Whether a broker may draw itself."""

    def __post_init__(self) -> None:
        check_n(self.n)
        check_c(self.c, self.n)
        check_p_f(self.p_f)
        object.__setattr__(self, "variant", check_variant(self.variant))

    @property
    def h(self) -> int:
        """Honest bridge brokers, the initiator among them: n - c."""
        return self.n - self.c

    @property
    def choices(self) -> int:
        """Among how many a broker draws its next hop: n in variant A, n - 1 in B."""
        return self.n if self.variant is Variant.A else self.n - 1

    def __str__(self) -> str:
        return f"n {self.n}, c {self.c}, p_f {self.p_f:g}, variant {self.variant.value}"


# -- how long a path is ---------------------------------------------------------------------------


def path_length(length: int, p_f: float) -> float:
    """P(L = length): hops of a path, the one to the public broker counted, the client's own not.

    P(L = l) = (1 - p) p^(l-2) for l >= 2, else 0: the first hop is always made, each next one with
    probability p, and the last leads out. [MQTT-A, Eq. (1); l = 1 cannot be, since the first broker
    always forwards.] Both variants. Raises `ConfigurationError` for a p_f that cannot be.
    """
    check_p_f(p_f)
    return (1 - p_f) * p_f ** (length - 2) if length >= 2 else 0.0


def mean_path_length(p_f: float) -> float:
    """E[L] = 1 / (1 - p) + 1 hops. [MQTT-A, Eq. (1)]

    Raises `ConfigurationError` for a p_f that cannot be.
    """
    check_p_f(p_f)
    return 1 / (1 - p_f) + 1


def path_length_variance(p_f: float) -> float:
    """Var[L] = p / (1 - p)^2, that of a geometric number of hops.

    Raises `ConfigurationError` for a p_f that cannot be.
    """
    check_p_f(p_f)
    return p_f / (1 - p_f) ** 2


def p_f_for_length(length: float) -> float:
    """The p_f whose mean path has `length` hops: p = (L - 2) / (L - 1).

    Raises `ConfigurationError` below 2 hops: the first broker always forwards.
    """
    if not length >= 2 or length == float("inf"):
        raise ConfigurationError(
            f"a mean path of {length!r} hops cannot be: give 2 or more, and finitely many"
        )
    return (length - 2) / (length - 1)


# -- where it leaves the crowd --------------------------------------------------------------------


def exit_is_initiator(crowd: Crowd) -> float:
    """P(the broker that hands to the public broker is the initiator itself).

    Variant A: the last draw is uniform over all n, so 1/n. Variant B: p / (n - 1 + p). With
    x = P(exit = initiator | an other one holds the message) and y the same while the initiator holds it,
    y = (1-p) + p x and x = p/(n-1) y + p (n-2)/(n-1) x; the first hop leads to an other one, and x is it.
    """
    if crowd.variant is Variant.A:
        return 1 / crowd.n
    return crowd.p_f / (crowd.n - 1 + crowd.p_f)


def exit_is_another(crowd: Crowd) -> float:
    """P(the exit is one given broker other than the initiator): 1/n in A, 1 / (n - 1 + p) in B."""
    return (1 - exit_is_initiator(crowd)) / (crowd.n - 1)


# -- what cannot be -------------------------------------------------------------------------------


def check_n(n: object) -> None:
    """Raises `ConfigurationError` for a number of brokers that cannot be."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 2:
        raise ConfigurationError(f"n={n!r}: a crowd has 2 bridge brokers or more, a whole number")


def check_c(c: object, n: int) -> None:
    """Raises `ConfigurationError` for a number of collaborators that cannot be among n."""
    if isinstance(c, bool) or not isinstance(c, int) or c < 0:
        raise ConfigurationError(
            f"c={c!r}: give the number of collaborating brokers, a whole number from 0 on"
        )
    if c >= n:
        raise ConfigurationError(
            f"c={c} of n={n}: the initiator is honest, so at most {n - 1} can collaborate; lower c or raise n"
        )


def check_p_f(p_f: object) -> None:
    """Raises `ConfigurationError` for a forwarding probability that cannot be."""
    if isinstance(p_f, bool) or not isinstance(p_f, (int, float)) or not 0 <= p_f <= 1:
        raise ConfigurationError(f"p_f={p_f!r}: a forwarding probability is 0 or more and below 1")
    if p_f == 1:
        raise ConfigurationError(
            "p_f=1: a path would never leave the crowd; choose p_f below 1, such as 0.75"
        )


def check_variant(variant: object) -> Variant:
    """The variant of this name. Raises `ConfigurationError` if there is none."""
    try:
        return Variant(variant)
    except ValueError:
        raise ConfigurationError(
            f"variant={variant!r}: there are A (a broker may pick itself) and B (it never does)"
        ) from None


def check_count(value: object, name: str, least: int = 1) -> int:
    """`value` as a count. Raises `ConfigurationError` unless it is a whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name}={value!r}: give a whole number from {least} on")
    return value


def check_probability(value: object, name: str) -> float:
    """`value` as a probability. Raises `ConfigurationError` unless it is from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigurationError(f"{name}={value!r}: a probability is from 0 to 1")
    return float(value)
