"""Forging a message of the station with the keys that somebody has: an insider, the broker, an outsider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mqttsec.crypto import Identity, SealKey, Tally
from mqttsec.e2e import LayerRefused, Protection, Setup, decode
from mqttsec.e2e.channel import Place, associated, signed
from mqttsec.e2e.company import Company, Sent
from mqttsec.e2e.messages import Layer
from mqttsec.e2e.schemes import Cell
from mqttsec.errors import TamperError
from mqttsec.labs.key_search import NO_KEYS, Keys, keys_in_memory

INSIDER, VICTIM = "phone", "dashboard"
FORGERS = ("an outsider", "the broker", "a member (phone)")
"""Who forges; the member is `INSIDER`."""


def keys_of_forger(company: Company, who: str) -> Keys:
    """The keys in the memory of one of `FORGERS`."""
    if who == FORGERS[0]:
        return NO_KEYS
    return keys_in_memory(company.broker if who == FORGERS[1] else company.subscribers[INSIDER])


def only(keys: Keys, names: frozenset[str]) -> Keys:
    """Those of `keys` that bear one of the paper's names."""
    return Keys(
        tuple(key for key in keys.sealing if key.name.split()[0] in names),
        tuple(ring for ring in keys.rings if ring.scheme.name in names),
    )


def forge(company: Company, keys: Keys, message: bytes, signer: Identity | None = None) -> Sent | None:
    """A message "from the station, through the broker", made like the last genuine one; None if no key fits.

    The forger looks at a genuine message, finds among `keys` the one that fits each of its layers, and
    puts the same layers round `message`, with the next numbers. `signer` signs where messages are signed.
    """
    setup, genuine = company.setup, company.route(b"a genuine one")
    topic, payload = genuine[VICTIM]
    found: list[tuple[Layer, Cell, SealKey]] = []
    for cell in (setup.row.broker_subscriber, setup.row.end_to_end(setup.mode)):
        layer = decode(payload, Layer)
        fitting = _fitting(setup, cell, layer, topic, keys)
        if fitting is None:
            return None
        key, payload = fitting
        found.append((layer, cell, key))
    body = message
    for layer, cell, key in reversed(found):
        body = _wrapped(setup, layer, cell, key, topic, body, signer).encode()
    return topic, body


def _fitting(setup: Setup, cell: Cell, layer: Layer, topic: str, keys: Keys) -> tuple[SealKey, bytes] | None:
    """The key that protects a layer, and what is in it."""
    bound = associated(layer, topic) if setup.hardened else b""
    for key in keys.for_epoch(layer.epoch):
        try:
            if cell.protection is Protection.EI:
                return key, setup.ciphers.open(key, layer.body, bound)
            setup.ciphers.check(key, bound + layer.body, layer.tag)
            return key, layer.body
        except TamperError:
            continue
    return None


def _wrapped(
    setup: Setup, layer: Layer, cell: Cell, key: SealKey, topic: str, body: bytes, signer: Identity | None
) -> Layer:
    made = replace(layer, sequence=layer.sequence + 1, signature=b"")
    bound = associated(made, topic) if setup.hardened else b""
    if cell.protection is Protection.EI:
        made = replace(made, body=setup.ciphers.seal(key, body, bound))
    else:
        made = replace(made, body=body, tag=setup.ciphers.mac(key, bound + body))
    if signer is not None and setup.sign_messages and layer.layer == Place.END_TO_END:
        made = signed(made, topic, signer, setup, None)
    return made


@dataclass(frozen=True)
class Forgery:
    """What became of a forged message."""

    who: str
    """One of `FORGERS`."""
    keys: tuple[str, ...]
    """What it had."""
    outcome: str
    """`believed`, `no key fits`, or `refused: ` and the check that failed."""

    @property
    def believed(self) -> bool:
        """Whether a member took it for the station's."""
        return self.outcome == "believed"


def attempt(company: Company, who: str, names: frozenset[str] | None = None) -> Forgery:
    """Let one of `FORGERS` forge a message for `VICTIM`, with the keys of these `names` only, if given."""
    keys = keys_of_forger(company, who)
    if names is not None:
        keys = only(keys, names)
    message = b'{"value": 99.9}'
    signer = company.subscribers[INSIDER].party.identity
    sent = forge(company, keys, message, signer)
    if sent is None:
        return Forgery(who, keys.names(), "no key fits")
    try:
        opened = company.subscribers[VICTIM].open(*sent)
    except LayerRefused as refused:
        return Forgery(who, keys.names(), f"refused: {refused.check.value}")
    assert opened.message == message
    return Forgery(who, keys.names(), "believed")


def spent(company: Company, what: Callable[[], object]) -> dict[str, Tally]:
    """What each party computes while `what` happens."""
    before = company.tallies()
    what()
    return {name: tally - before[name] for name, tally in company.tallies().items() if name in before}
