"""The cryptography of the schemes, all of it from `cryptography`, nothing of our own.

| module | what it holds | specification |
|---|---|---|
| `keys` | `Key`, `SealKey`: secrets that do not show | 1.2 |
| `operations` | `Operations`, `Tally`: what a party has computed | 1.5 |
| `suites`, `ciphers` | `SUITES`: E, D, H, EI and I | 1.5, 1.6 |
| `agreement` | `CURVES`: ephemeral Diffie-Hellman | 1.2, 1.6 |
| `signing`, `identity`, `pem` | `SIGNATURES`; the course CA, certificates, their files | 1.1, 1.6 |
| `schedule` | both profiles' key derivation | 1.7 |
| `groupkey` | groups, epochs, wraps | 1.4, 1.7 |

Curve, signature algorithm and suite are chosen by name, each for itself:

    suite("paper"), curve("X25519"), signature("Ed25519")
"""

from __future__ import annotations

from mqttsec.crypto.agreement import CURVES, Curve, Ephemeral, curve
from mqttsec.crypto.ciphers import NONCE, AeadCalls, InvalidTag
from mqttsec.crypto.groupkey import Epoch, Group, GroupKey, GroupScheme, Keyring, Member, Wrapped
from mqttsec.crypto.identity import CertificateAuthority, Identity, Peer, TrustAnchor
from mqttsec.crypto.keys import Key, Purpose, SealKey, same_secret
from mqttsec.crypto.operations import Operation, Operations, Tally
from mqttsec.crypto.pem import (
    read_authority,
    read_identity,
    read_trust,
    write_authority,
    write_identity,
    write_trust,
)
from mqttsec.crypto.schedule import PairKeys, Profile, fields, group_keys, label, pair_keys
from mqttsec.crypto.signing import SIGNATURES, Signing, signature
from mqttsec.crypto.suites import SUITES, Box, Suite, counted, suite

__all__ = [
    "CURVES",
    "NONCE",
    "SIGNATURES",
    "SUITES",
    "AeadCalls",
    "Box",
    "CertificateAuthority",
    "Curve",
    "Ephemeral",
    "Epoch",
    "Group",
    "GroupKey",
    "Identity",
    "InvalidTag",
    "Key",
    "Keyring",
    "Member",
    "Operation",
    "Operations",
    "PairKeys",
    "Peer",
    "Profile",
    "Purpose",
    "GroupScheme",
    "SealKey",
    "Signing",
    "Suite",
    "Tally",
    "TrustAnchor",
    "Wrapped",
    "counted",
    "curve",
    "fields",
    "group_keys",
    "label",
    "pair_keys",
    "read_authority",
    "read_identity",
    "read_trust",
    "same_secret",
    "signature",
    "suite",
    "write_authority",
    "write_identity",
    "write_trust",
]
