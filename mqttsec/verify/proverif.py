"""The model as text for ProVerif (.pv), in the typed applied pi calculus.

Made from the same roles as everything else. ProVerif is in no package registry, so this was **not run**
here; a test holds it to balanced brackets and to names that are declared. It has no clocks and no replay
caches: timestamps are fresh names, so injective agreement of a responder fails as without a cache.
"""

from __future__ import annotations

from collections.abc import Iterator

from mqttsec.verify.roles import (
    Claim,
    Const,
    Encrypted,
    Part,
    Protocol,
    Receive,
    Role,
    Sealed,
    Shared,
    Signed,
    Sort,
    Var,
)
from mqttsec.verify.words import word

_HEAD = """(* Generated from the step data of mqttsec. Not run here. *)
free c: channel.
type skey.
type host.
fun pk(skey): bitstring.
fun sign(bitstring, skey): bitstring.
reduc forall m: bitstring, k: skey; checksign(sign(m, k), pk(k), m) = true.
fun aenc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: skey; adec(aenc(m, pk(k)), k) = m.
fun senc(bitstring, bitstring): bitstring.
reduc forall m: bitstring, k: bitstring; sdec(senc(m, k), k) = m.
const g: bitstring.
fun exp(bitstring, bitstring): bitstring.
equation forall x: bitstring, y: bitstring; exp(exp(g, x), y) = exp(exp(g, y), x).
fun kdf(bitstring): bitstring.
fun certificate(host, bitstring): bitstring [private].
reduc forall h: host, p: bitstring; key_of(certificate(h, p), h) = p.
"""


class _View:
    def __init__(self, role: Role) -> None:
        self.role = role

    def term(self, item: Part | Shared) -> str:
        if isinstance(item, Const):
            return f"w_{word(item.name)}"
        if isinstance(item, Var):
            if item.sort is Sort.NAME:
                return f"h{word(item.name)}"
            if item.sort is Sort.PUBLIC and item in self.role.own:
                return f"exp(g, x_{word(item.name)})"
            return f"v_{word(item.name)}"
        if isinstance(item, Signed):
            return f"sign({self.tuple(item.payload)}, sk)"
        if isinstance(item, Encrypted):
            return f"aenc({self.tuple(item.payload)}, p{word(item.to.name)})"
        if isinstance(item, Sealed):
            return f"senc({self.term(item.content)}, {self.term(item.key)})"
        one, other = item.halves
        own, peer = (one, other) if one in self.role.own else (other, one)
        secret = f"exp(v_{word(peer.name)}, x_{word(own.name)})"
        return f"kdf(({', '.join(['w_key', secret, *map(self.term, item.context)])}))"

    def tuple(self, items: tuple[Part, ...]) -> str:
        # One alone is no tuple; a constant before it makes every payload one.
        return f"({', '.join(['w_signed', *map(self.term, items)])})"


def text(protocol: Protocol) -> str:
    """The script: declarations, queries, a process for each role, and all of them together."""
    words = sorted({"w_key", "w_signed", *_constants(protocol)})
    lines = [_HEAD.rstrip(), *(f"const {each}: bitstring." for each in words)]
    honest = {kind: f"h_{name}" for kind, name in protocol.honest.items()}
    lines += [f"free {name}: host." for name in honest.values()]
    events, queries = _events(protocol)
    lines += [*events, *queries]
    for role in protocol.roles:
        lines += _process(role, honest)
    lines += _main(protocol, honest)
    return "\n".join(lines) + "\n"


def _constants(protocol: Protocol) -> Iterator[str]:
    for role in protocol.roles:
        for act in role.acts:
            for part in act.parts:
                inner = part.payload if isinstance(part, Signed | Encrypted) else (part,)
                if isinstance(part, Sealed):
                    inner = part.key.context
                for item in inner:
                    if isinstance(item, Const):
                        yield f"w_{word(item.name)}"
        for claim in role.claims:
            if isinstance(claim.secret, Shared):
                yield from (
                    f"w_{word(each.name)}" for each in claim.secret.context if isinstance(each, Const)
                )


def _pairs(protocol: Protocol) -> list[tuple[str, str, str, int]]:
    return list(
        dict.fromkeys(
            (role.kind, claim.peer_role, word(claim.secret.name), len(claim.agreed))
            for role in protocol.roles
            for claim in role.claims
        )
    )


def _events(protocol: Protocol) -> tuple[list[str], list[str]]:
    events, queries = [], []
    for kind, peer, name, _ in _pairs(protocol):
        events.append(f"event commit_{kind}_{peer}_{name}(host, host, bitstring).")
        events.append(f"event running_{kind}_{peer}_{name}(host, host, bitstring).")
    for kind, peer, name, _ in _pairs(protocol):
        queries.append(
            f"query a: host, b: host, d: bitstring; inj-event(commit_{kind}_{peer}_{name}(a, b, d)) "
            f"==> inj-event(running_{peer}_{kind}_{name}(b, a, d))."
        )
    for name in dict.fromkeys(name for _, _, name, _ in _pairs(protocol)):
        events.append(f"free secret_{name}: bitstring [private].")
        queries.append(f"query attacker(secret_{name}).")
    return events, queries


def _process(role: Role, honest: dict[str, str]) -> Iterator[str]:
    view = _View(role)
    partners = [f"h{word(name.name)}" for name in role.partners]
    yield f"let {role.name}(h{word(role.owner.name)}: host, sk: skey) ="
    if partners:
        yield f"  in(c, ({', '.join(f'{each}: host' for each in partners)}));"
    for name in role.partners:
        yield f"  in(c, cert_{word(name.name)}: bitstring);"
        yield f"  let p{word(name.name)} = key_of(cert_{word(name.name)}, h{word(name.name)}) in"
    known: set[Var] = {role.owner, *role.partners}
    for index, act in enumerate(role.acts):
        if isinstance(act, Receive):
            yield from _receive(view, act, known)
        else:
            for made in act.fresh:
                if made not in known:
                    prefix = "x" if made.sort is Sort.PUBLIC else "v"
                    yield f"  new {prefix}_{word(made.name)}: bitstring;"
                    known.add(made)
            yield from _running(view, known)
            sent = [
                view.term(part) for part in act.news if not (isinstance(part, Signed) and not part.payload)
            ]
            if sent:
                yield f"  out(c, ({', '.join(sent)}));"
        for claim in role.claims:
            if claim.at == index:
                yield from _commit(view, claim, honest)
    yield "  0."


def _receive(view: _View, act: Receive, known: set[Var]) -> Iterator[str]:
    for part in act.parts:
        if isinstance(part, Var) and part.sort is not Sort.NAME and part not in known:
            yield f"  in(c, v_{word(part.name)}: bitstring);"
            known.add(part)
    for part in act.parts:
        if isinstance(part, Signed) and part.payload:
            name = word(part.name)
            yield f"  in(c, s_{name}: bitstring);"
            signed = view.tuple(part.payload)
            yield f"  if checksign(s_{name}, p{word(part.signer.name)}, {signed}) = true then"
        elif isinstance(part, Sealed):
            name = word(part.name)
            yield f"  in(c, s_{name}: bitstring);"
            yield f"  let v_{word(part.content.name)} = sdec(s_{name}, {view.term(part.key)}) in"
            known.add(part.content)
        elif isinstance(part, Encrypted):
            name = word(part.name)
            inner = []
            for item in part.payload:
                new = isinstance(item, Var) and item.sort is not Sort.NAME and item not in known
                inner.append(f"v_{word(item.name)}: bitstring" if new else f"={view.term(item)}")
                if new and isinstance(item, Var):
                    known.add(item)
            yield f"  in(c, s_{name}: bitstring);"
            yield f"  let (=w_signed, {', '.join(inner)}) = adec(s_{name}, sk) in"


def _running(view: _View, known: set[Var]) -> Iterator[str]:
    role = view.role
    for claim in role.claims:
        halves = claim.secret.halves if isinstance(claim.secret, Shared) else claim.agreed
        ready = tuple(half for half in halves if half in known)
        if ready:
            name = f"running_{role.kind}_{claim.peer_role}_{word(claim.secret.name)}"
            yield f"  event {name}({view.term(role.owner)}, {view.term(claim.peer)}, {view.tuple(ready)});"


def _commit(view: _View, claim: Claim, honest: dict[str, str]) -> Iterator[str]:
    role, name = view.role, word(claim.secret.name)
    peer = view.term(claim.peer)
    yield f"  if {peer} = {honest[role.kinds[claim.peer]]} then"
    event = f"commit_{role.kind}_{claim.peer_role}_{name}"
    yield f"  event {event}({view.term(role.owner)}, {peer}, {view.tuple(claim.agreed)});"
    if isinstance(claim.secret, Shared):
        yield f"  out(c, senc(secret_{name}, {view.term(claim.secret)}));"


def _main(protocol: Protocol, honest: dict[str, str]) -> Iterator[str]:
    yield "process"
    for kind in honest:
        yield f"  new sk{kind}: skey; out(c, pk(sk{kind}));"
        yield f"  out(c, certificate({honest[kind]}, pk(sk{kind})));"
    yield "  ((* anybody else may have a certificate *)"
    yield "   !(in(c, (h: host, p: bitstring));"
    refused = " && ".join(f"h <> {name}" for name in honest.values())
    yield f"     if {refused} then out(c, certificate(h, p)))"
    for role in protocol.roles:
        yield f"   | !{role.name}({honest[role.kind]}, sk{role.kind})"
    yield "  )"
