"""What a state of the model breaks, in plain Python; and all states of a case, judged.

As `explorer`, it is written to be read, and Maude (`maude_goals`) is held to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from mqttsec.verify.cases import Case, Goal, Kind, Property
from mqttsec.verify.explorer import Explorer, Held, Instance, State, Value
from mqttsec.verify.roles import Sealed, Shared


def explore(case: Case) -> tuple[int, dict[Goal, int]]:
    """All states of a case: how many, and the fewest instances with which each goal is broken."""
    explorer = Explorer(case)
    seen, todo = {explorer.start}, [explorer.start]
    sizes: dict[Goal, int] = {}
    while todo:
        state = todo.pop()
        size = case.instances - state.left
        for goal in broken(explorer, state):
            sizes[goal] = min(sizes.get(goal, size), size)
        for following, _ in explorer.next(state):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return len(seen), sizes


def broken(explorer: Explorer, state: State) -> dict[Goal, Held]:
    """The goals that a state breaks, each with a claim that is wrong."""
    judge = Judge(explorer, state)
    found: dict[Goal, Held] = {}
    for goal in explorer.case.goals:
        wrong = judge.wrong(goal)
        if wrong is not None:
            found[goal] = wrong
    return found


class Judge:
    """One state, and what is wrong in it."""

    def __init__(self, explorer: Explorer, state: State) -> None:
        self.explorer = explorer
        self.state = state

    @cached_property
    def held(self) -> tuple[Held, ...]:
        """All claims about honest peers."""
        return tuple(self.explorer.held(self.state))

    def wrong(self, goal: Goal) -> Held | None:
        """A claim that breaks a goal; None where there is none."""
        if goal.property in (Property.SECRECY, Property.FORWARD):
            return self._leaks(goal)
        for each in self.held:
            if f"{each.kind.role.kind}-{each.claim.peer_role}" == goal.subject and self._wrong(goal, each):
                return each
        return None

    def _wrong(self, goal: Goal, held: Held) -> bool:
        if goal.property is Property.ALIVENESS:
            peer = held.kind.who[held.claim.peer]
            return not any(kind.principal == peer for kind, _ in self.explorer.instances(self.state))
        if goal.property is Property.AGREEMENT:
            return not self._agrees(held)
        if goal.property is Property.PAIRING:
            return not self._agrees(held) and any(True for _ in self._partners(held))
        if goal.property is Property.ONCE:
            return self._agrees(held) and any(
                other.instance != held.instance
                and other.kind.role == held.kind.role
                and other.claim == held.claim
                and all(other.env[var] == held.env[var] for var in held.claim.agreed)
                and other.kind.who[other.claim.peer] == held.kind.who[held.claim.peer]
                for other in self.held
            )
        assert goal.property is Property.BINDING
        return self._thirds_differ(held) or self.misbound(held) is not None

    def _partners(self, held: Held) -> Iterator[tuple[Kind, Instance]]:
        """Runs of the peer with whom the claim is about, in the right role."""
        for kind, instance in self.explorer.instances(self.state):
            if (
                kind.role.name in held.claim.of_peer
                and not kind.old
                and kind.principal == held.kind.who[held.claim.peer]
            ):
                if kind.who.get(held.kind.role.owner) == held.kind.principal:
                    yield kind, instance

    def _agreeing(self, held: Held) -> Iterator[Kind]:
        """The kinds of the peer's runs that agree."""
        for kind, instance in self._partners(held):
            env, _ = self.explorer.known(kind, instance, self.state)
            if all(var in env and env[var] == held.env[var] for var in held.claim.agreed):
                yield kind

    def _agrees(self, held: Held) -> bool:
        return any(True for _ in self._agreeing(held))

    def _thirds_differ(self, held: Held) -> bool:
        """The peer's run agrees on the key, and takes somebody else for the third party."""
        agreeing = list(self._agreeing(held))
        mine = held.kind.who
        return bool(agreeing) and not any(
            all(mine.get(var, name) == name for var, name in kind.names) for kind in agreeing
        )

    def misbound(self, held: Held) -> Held | None:
        """Who else has the key of a claim, or has it with somebody else."""
        secret = held.claim.secret
        if not isinstance(secret, Shared):
            return None
        key = self.explorer.value(held.kind, secret, held.env)
        me, peer = held.kind.principal, held.kind.who[held.claim.peer]
        for other in self.explorer.held(self.state, wrong_only=False):
            if other.kind.principal == me or not isinstance(other.claim.secret, Shared):
                continue
            believed = other.kind.who[other.claim.peer]
            if other.kind.principal == peer and believed == me:
                continue
            if self.explorer.value(other.kind, other.claim.secret, other.env) == key:
                return other
        return None

    def _leaks(self, goal: Goal) -> Held | None:
        after = goal.property is Property.FORWARD
        for held in self.held:
            secret = held.claim.secret
            if isinstance(secret, Shared):
                if secret.name == goal.subject and self.explorer.opens(
                    self.explorer.value(held.kind, secret, held.env)
                ):
                    return held
                given = self._gives(held, goal.subject)
                if given is not None and self._knows(given, after):
                    return held
            elif secret.name == goal.subject and self._knows(held.env[secret], after):
                return held
        return None

    def _gives(self, held: Held, name: str) -> Value | None:
        """The group key of that name that an instance has sealed for the peer of a claim."""
        for stage in held.kind.role.stages:
            for send in stage.sends:
                for part in send.news:
                    if (
                        isinstance(part, Sealed)
                        and part.content.name == name
                        and part.key == held.claim.secret
                    ):
                        return held.env.get(part.content)
        return None

    def _knows(self, value: Value, after: bool) -> bool:
        """Whether the intruder knows a nonce; `after` all long-term keys have leaked."""
        if value in self.state.seen:
            return True
        return after and any(each[0] == "en" and value in each[2] for each in self.state.seen)
