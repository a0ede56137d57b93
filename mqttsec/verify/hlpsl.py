"""The model as text in HLPSL, the language of SPAN and OFMC, which the paper used (its section 5.2).

Made from the same roles as everything else. SPAN is not available to us, so this was **not run**; a small
grammar of our own (in the tests) holds it to the shape of the language: balanced brackets, roles that end,
transitions with both sides, every variable declared.
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
    Stage,
    Var,
    used,
    variables,
)
from mqttsec.verify.words import word


def _upper(name: str) -> str:
    made = word(name).replace("_", "")
    return made[0].upper() + made[1:]


def _lower(name: str) -> str:
    made = word(name)
    return made[0].lower() + made[1:]


class _View:
    """A role's values; `new` are those that take their value in the transition at hand, with a prime."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.new: set[Var] = set()

    def term(self, item: Part | Shared) -> str:
        if isinstance(item, Const):
            return _lower(item.name)
        if isinstance(item, Var):
            prime = "'" if item in self.new else ""
            if item.sort is Sort.PUBLIC and item in self.role.own:
                return f"exp(G,X{_upper(item.name)}{prime})"
            return f"{_upper(item.name)}{prime}"
        if isinstance(item, Signed):
            return f"{{{self.join(item.payload)}}}_inv(K{_upper(item.signer.name)})"
        if isinstance(item, Encrypted):
            return f"{{{self.join(item.payload)}}}_K{_upper(item.to.name)}"
        if isinstance(item, Sealed):
            return f"{{{self.term(item.content)}}}_{self.term(item.key)}"
        one, other = item.halves
        own, peer = (one, other) if one in self.role.own else (other, one)
        prime = "'" if own in self.new else ""
        secret = f"exp({self.term(peer)},X{_upper(own.name)}{prime})"
        return f"Kdf({'.'.join([secret, *map(self.term, item.context)])})"

    def join(self, items: tuple[Part, ...]) -> str:
        return ".".join(
            self.term(each) for each in items if not (isinstance(each, Signed) and not each.payload)
        )


def text(protocol: Protocol) -> str:
    """The specification: a role for each view, a session, an environment with an insider, the goals."""
    lines = ["% Generated from the step data of mqttsec. Not run.", ""]
    for role in protocol.roles:
        lines += [*_role(role), ""]
    lines += [*_session(protocol), "", *_environment(protocol), "", *_goals(protocol), "", "environment()"]
    return "\n".join(lines) + "\n"


def _agents(role: Role) -> list[str]:
    return [_upper(name.name) for name in (role.owner, *role.partners)]


def _role(role: Role) -> Iterator[str]:
    view = _View(role)
    agents = _agents(role)
    keys = [f"K{agent}" for agent in agents]
    yield f"role role_{role.name}({', '.join(agents)}: agent, {', '.join(keys)}: public_key,"
    yield "             G: text, Kdf: hash_func, SND, RCV: channel(dy))"
    yield f"played_by {agents[0]} def="
    yield f"  local {', '.join(['State: nat', *_locals(role)])}"
    yield "  init State := 0"
    yield "  transition"
    for number, stage in enumerate(role.stages):
        yield from _transition(view, number, stage)
    yield "end role"


def _locals(role: Role) -> Iterator[str]:
    for made in sorted(role.own, key=str):
        yield f"{'X' if made.sort is Sort.PUBLIC else ''}{_upper(made.name)}: text"
    for told in _told(role):
        yield f"{_upper(told.name)}: {'message' if told.sort is Sort.PUBLIC else 'text'}"


def _told(role: Role) -> list[Var]:
    found = [
        each
        for stage in role.stages
        for receive in stage.receives
        for each in variables(receive.parts)
        if each.sort is not Sort.NAME and each not in role.own
    ]
    return list(dict.fromkeys(found))


def _transition(view: _View, number: int, stage: Stage) -> Iterator[str]:
    role = view.role
    before = role.known(number)
    parts = tuple(part for receive in stage.receives for part in receive.parts)
    view.new = {each for each in variables(parts) if each not in before and each.sort is not Sort.NAME}
    received = view.join(parts) or "start"
    made = [each for send in stage.sends for each in send.fresh]
    news = tuple(part for send in stage.sends for part in send.news)
    view.new |= set(made)
    right = [f"State' := {number + 1}"]
    right += [f"{'X' if each.sort is Sort.PUBLIC else ''}{_upper(each.name)}' := new()" for each in made]
    right += list(_events(view, number, before | view.new))
    sent = view.join(news)
    if sent:
        right.append(f"SND({sent})")
    yield f"  {number + 1}. State = {number} /\\ RCV({received}) =|>"
    yield "     " + "\n     /\\ ".join(right)


def _events(view: _View, number: int, known: frozenset[Var] | set[Var]) -> Iterator[str]:
    role = view.role
    me = _upper(role.owner.name)
    for claim in role.claims:
        peer, name = _upper(claim.peer.name), _lower(claim.secret.name)
        halves = claim.secret.halves if isinstance(claim.secret, Shared) else claim.agreed
        ready = tuple(half for half in halves if half in known)
        if role.stages[number].sends and ready:
            theirs = f"{_lower(claim.peer_role)}_{_lower(role.kind)}_{name}"
            yield f"witness({me},{peer},{theirs},{view.join(ready)})"
        if role.stage_of(claim) == number:
            mine = f"{_lower(role.kind)}_{_lower(claim.peer_role)}_{name}"
            yield f"request({me},{peer},{mine},{view.join(claim.agreed)})"
            if set(used((claim.secret,))) - {role.owner, *role.partners} <= set(known):
                yield f"secret({view.term(claim.secret)},sec_{name}_{_lower(role.kind)},{{{me},{peer}}})"


def _session(protocol: Protocol) -> Iterator[str]:
    agents = [f"H{kind}" for kind in protocol.honest]
    keys = [f"K{agent}" for agent in agents]
    yield f"role session({', '.join(agents)}: agent, {', '.join(keys)}: public_key, G: text, Kdf: hash_func)"
    yield "def="
    channels = [f"S{n}, R{n}" for n in range(len(protocol.roles))]
    yield f"  local {', '.join(channels)}: channel(dy)"
    yield "  composition"
    calls = []
    for number, role in enumerate(protocol.roles):
        who = [f"H{role.kind}", *(f"H{role.kinds[partner]}" for partner in role.partners)]
        given = ", ".join([*who, *(f"K{each}" for each in who), "G", "Kdf", f"S{number}", f"R{number}"])
        calls.append(f"role_{role.name}({given})")
    yield "     " + "\n  /\\ ".join(calls)
    yield "end role"


def _environment(protocol: Protocol) -> Iterator[str]:
    names = list(protocol.honest.values())
    keys = [f"k_{name}" for name in names]
    constants = sorted(_constants(protocol))
    ids = sorted(set(_identifiers(protocol)))
    yield "role environment()"
    yield "def="
    yield f"  const {', '.join(names)}: agent, {', '.join([*keys, 'k_i'])}: public_key,"
    yield "        g: text, kdf: hash_func,"
    yield f"        {', '.join(f'{each}: text' for each in constants) or 'nothing: text'},"
    yield f"        {', '.join(f'{each}: protocol_id' for each in ids)}"
    known = [*names, *keys, "k_i", "inv(k_i)", "g", "kdf", *constants]
    yield f"  intruder_knowledge = {{{', '.join(known)}}}"
    yield "  composition"
    sessions = [(names, keys), (names, keys)]
    for place in range(len(names)):
        sessions.append(
            ([*names[:place], "i", *names[place + 1 :]], [*keys[:place], "k_i", *keys[place + 1 :]])
        )
    calls = [f"session({', '.join([*who, *their, 'g', 'kdf'])})" for who, their in sessions]
    yield "     " + "\n  /\\ ".join(calls)
    yield "end role"


def _constants(protocol: Protocol) -> set[str]:
    found = set()
    for role in protocol.roles:
        for act in role.acts:
            for part in act.parts:
                inner = part.payload if isinstance(part, Signed | Encrypted) else (part,)
                inner = part.key.context if isinstance(part, Sealed) else inner
                found |= {_lower(item.name) for item in inner if isinstance(item, Const)}
        for claim in role.claims:
            if isinstance(claim.secret, Shared):
                found |= {_lower(item.name) for item in claim.secret.context if isinstance(item, Const)}
    return found


def _identifiers(protocol: Protocol) -> Iterator[str]:
    for role in protocol.roles:
        for claim in role.claims:
            name = _lower(claim.secret.name)
            yield f"{_lower(role.kind)}_{_lower(claim.peer_role)}_{name}"
            yield f"{_lower(claim.peer_role)}_{_lower(role.kind)}_{name}"
            yield f"sec_{name}_{_lower(role.kind)}"


def _goals(protocol: Protocol) -> Iterator[str]:
    yield "goal"
    for role in protocol.roles:
        for claim in role.claims:
            name = _lower(claim.secret.name)
            yield f"  secrecy_of sec_{name}_{_lower(role.kind)}"
            yield f"  authentication_on {_lower(role.kind)}_{_lower(claim.peer_role)}_{name}"
    yield "end goal"
