"""The model as text for the Tamarin prover (.spthy).

Made from the same roles as everything else. The syntax is checked with the grammar of the language
(`py-tree-sitter-spthy`); the prover itself is in no package registry, so it was **not run** here. Freshness
of timestamps and replay caches have no counterpart: a timestamp is one more fresh value under a signature.
"""

from __future__ import annotations

from collections.abc import Iterator

from mqttsec.verify.roles import (
    Const,
    Encrypted,
    Part,
    Protocol,
    Role,
    Sealed,
    Shared,
    Signed,
    Sort,
    Var,
    used,
    variables,
)
from mqttsec.verify.words import word


class _View:
    """A role's values: what it made itself is made of a fresh name, what it was told is a variable."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.names = (role.owner, *role.partners)

    def term(self, item: Part | Shared) -> str:
        if isinstance(item, Const):
            return f"'{item.name}'"
        if isinstance(item, Var):
            if item.sort is Sort.NAME:
                return f"${word(item.name)}"
            if item not in self.role.own:
                return word(item.name)
            return f"'g'^~{word(item.name)}" if item.sort is Sort.PUBLIC else f"~{word(item.name)}"
        if isinstance(item, Signed):
            return f"sign({self.tuple(item.payload)}, ltk{word(item.signer.name)})"
        if isinstance(item, Encrypted):
            return f"aenc({self.tuple(item.payload)}, pk{word(item.to.name)})"
        if isinstance(item, Sealed):
            return f"senc({self.term(item.content)}, {self.term(item.key)})"
        return self.key(item)

    def key(self, key: Shared) -> str:
        one, other = key.halves
        own, peer = (one, other) if one in self.role.own else (other, one)
        secret = f"{word(peer.name)}^~{word(own.name)}"
        return f"h({self.tuple((secret, *map(self.term, key.context)))})"

    def tuple(self, items: tuple[Part | str, ...]) -> str:
        return f"<{', '.join(each if isinstance(each, str) else self.term(each) for each in items)}>"

    def came(self, part: Part) -> str:
        """A part of a message as it is received: a signature is a variable that is checked."""
        return f"sig_{word(part.name)}" if isinstance(part, Signed) else self.term(part)


def text(protocol: Protocol) -> str:
    """The theory, with a lemma for every claim: secrecy, and injective agreement."""
    lines = [
        f"theory {word(protocol.name)}",
        "begin",
        "",
        "/* Generated from the step data of mqttsec. Syntax checked; not run. */",
        "",
        "builtins: diffie-hellman, signing, asymmetric-encryption, symmetric-encryption, hashing",
        "",
        "rule Register:",
        "  [ Fr(~ltk) ] --[ Registered($A) ]-> [ !Ltk($A, ~ltk), !Pk($A, pk(~ltk)), Out(pk(~ltk)) ]",
        "",
        "rule Reveal:",
        "  [ !Ltk(A, ltk) ] --[ Reveal(A) ]-> [ Out(ltk) ]",
        "",
        "restriction Equality:",
        '  "All x y #i. Eq(x, y) @ #i ==> x = y"',
        "",
    ]
    for role in protocol.roles:
        lines += _role(role)
    lines += _lemmas(protocol)
    return "\n".join((*lines, "end", ""))


def _role(role: Role) -> Iterator[str]:
    view = _View(role)
    state: list[str] = [view.term(name) for name in view.names]
    known: list[Var] = []
    for number, stage in enumerate(role.stages):
        left, done, right = [], [], []
        left.append(f"St_{role.name}_{number}(~tid, {', '.join(state)})" if number else "Fr(~tid)")
        fresh = [made for send in stage.sends for made in send.fresh]
        left += [f"Fr(~{word(made.name)})" for made in fresh]
        parts = [part for receive in stage.receives for part in receive.parts]
        needed = [name for part in parts for name in _signers(part)]
        needed += [name for send in stage.sends for part in send.news for name in _addressees(part)]
        for name in dict.fromkeys(needed):
            left.append(f"!Pk(${word(name.name)}, pk{word(name.name)})")
        if any(_long_term(part) for send in stage.sends for part in send.news) or any(
            isinstance(part, Encrypted) for part in parts
        ):
            left.append(f"!Ltk(${word(role.owner.name)}, ltk{word(role.owner.name)})")
        for receive in stage.receives:
            came = [view.came(part) for part in receive.parts if not _empty(part)]
            if came:
                left.append(f"In(<{', '.join(_own_key(role, each) for each in came)}>)")
        for part in parts:
            if isinstance(part, Signed) and part.payload:
                checked = f"verify({view.came(part)}, {view.tuple(part.payload)}, pk{word(part.signer.name)})"
                done.append(f"Eq({checked}, true)")
        for send in stage.sends:
            out = [view.term(part) for part in send.news if not _empty(part)]
            if out:
                right.append(f"Out(<{', '.join(out)}>)")
        known = list(dict.fromkeys((*known, *fresh, *_told(parts))))
        state = [view.term(name) for name in view.names]
        state += [f"~{word(each.name)}" if each in role.own else word(each.name) for each in known]
        right.append(f"St_{role.name}_{number + 1}(~tid, {', '.join(state)})")
        done += _events(role, view, number, set(known))
        yield f"rule {role.name}_{number}:"
        yield f"  [ {', '.join(left)} ]"
        yield f"  --[ {', '.join(done)} ]->" if done else "  -->"
        yield f"  [ {', '.join(right)} ]"
        yield ""


def _events(role: Role, view: _View, number: int, known: set[Var]) -> Iterator[str]:
    me = view.term(role.owner)
    for claim in role.claims:
        peer = view.term(claim.peer)
        agreed = view.tuple(claim.agreed)
        secret = view.term(claim.secret)
        kind = role.kind
        if role.stage_of(claim) == number:
            yield f"Commit_{kind}_{claim.peer_role}({me}, {peer}, {agreed})"
            yield f"Secret_{word(claim.secret.name)}({me}, {peer}, {secret})"
        stage = role.stages[number]
        if stage.sends and set(used((claim.secret,))) - set(view.names) & set(role.own) <= known:
            halves = claim.secret.halves if isinstance(claim.secret, Shared) else ()
            ready = [half for half in halves if half in known]
            if ready:
                yield f"Running_{kind}_{claim.peer_role}({me}, {peer}, {view.tuple(tuple(ready))})"


def _lemmas(protocol: Protocol) -> Iterator[str]:
    seen = set()
    for role in protocol.roles:
        for claim in role.claims:
            name = word(claim.secret.name)
            if name not in seen:
                seen.add(name)
                yield f"lemma secrecy_{name}:"
                yield f'  "All A B k #i. Secret_{name}(A, B, k) @ #i & not (Ex #r. Reveal(A) @ #r)'
                yield '   & not (Ex #r. Reveal(B) @ #r) ==> not (Ex #j. K(k) @ #j)"'
                yield ""
            pair = f"{role.kind}_{claim.peer_role}"
            yield f"lemma agreement_{pair}_{name}:"
            yield f'  "All A B d #i. Commit_{pair}(A, B, d) @ #i & not (Ex #r. Reveal(A) @ #r)'
            running = f"Running_{claim.peer_role}_{role.kind}"
            yield f"   & not (Ex #r. Reveal(B) @ #r) ==> (Ex #j. {running}(B, A, d)"
            yield f'   @ #j & #j < #i & not (Ex #i2 C D. Commit_{pair}(C, D, d) @ #i2 & not (#i2 = #i)))"'
            yield ""


def _told(parts: list[Part]) -> list[Var]:
    return [each for each in variables(tuple(parts)) if each.sort is not Sort.NAME]


def _signers(part: Part) -> Iterator[Var]:
    if isinstance(part, Signed) and part.payload:
        yield part.signer


def _addressees(part: Part) -> Iterator[Var]:
    if isinstance(part, Encrypted):
        yield part.to


def _long_term(part: Part) -> bool:
    return isinstance(part, Signed) and bool(part.payload)


def _empty(part: Part) -> bool:
    return isinstance(part, Signed) and not part.payload


def _own_key(role: Role, came: str) -> str:
    """A ciphertext for the role is opened with its own key."""
    own = word(role.owner.name)
    return came.replace(f", pk{own})", f", pk(ltk{own}))")
