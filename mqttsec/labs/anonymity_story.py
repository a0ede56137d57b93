"""A publisher's messages through a crowd, and what collaborators make of them: picture, tables, text."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from mqttsec.anonymity.crowd import Crowd, mean_path_length
from mqttsec.anonymity.entropy import entropy
from mqttsec.anonymity.innocence import (
    collaborator_on_path,
    least_p_f,
    predecessor_is_initiator,
    probable_innocence,
)
from mqttsec.anonymity.predecessor import named, posterior
from mqttsec.anonymity.walking import Path, walk
from mqttsec.widgets.crowd import Broker, crowd_svg, percent
from mqttsec.widgets.look import text
from mqttsec.widgets.table import Table


@dataclass(frozen=True)
class Story:
    """So many messages of one publisher, and the collaborators' counts."""

    crowd: Crowd
    """The crowd; broker 0 is the publisher's."""
    messages: int
    """Sent so far."""
    lifetime: int
    """Messages that a path carries."""
    paths: tuple[Path, ...]
    """The paths drawn, in order."""

    @property
    def counts(self) -> tuple[int, ...]:
        """For each honest broker: paths whose first predecessor it was."""
        before = [path.predecessor for path in self.paths]
        return tuple(before.count(broker) for broker in range(self.crowd.h))

    @property
    def posterior(self) -> tuple[float, ...]:
        """P(it is the publisher's broker | counts), for each honest broker."""
        return posterior(self.crowd, self.counts)

    @property
    def named(self) -> int | None:
        """Who has the highest posterior alone; None if nobody has."""
        shares = self.posterior
        best = max(shares)
        likeliest = [broker for broker, share in enumerate(shares) if share >= best - 1e-12]
        return likeliest[0] if len(likeliest) == 1 else None


def tell(crowd: Crowd, messages: int, lifetime: int, seed: int) -> Story:
    """Send so many messages through the crowd, each path drawn hop by hop; the same seed, the same paths."""
    rng = random.Random(seed)
    paths = tuple(walk(crowd, rng) for _ in range(-(-messages // lifetime)))
    return Story(crowd, messages, lifetime, paths)


def name(broker: int) -> str:
    """`b1` for the first, the publisher's own."""
    return f"b{broker + 1}"


@dataclass(frozen=True)
class CrowdView:
    """What the explorer of the crowd shows."""

    story: Story
    """The messages."""

    def head(self) -> str:
        """One line: which crowd, how many messages."""
        story = self.story
        each = "a new path each" if story.lifetime == 1 else f"{story.lifetime} to a path"
        return f"{story.crowd}: {story.messages} message{'s' * (story.messages != 1)}, {each}"

    def picture(self) -> str:
        """The crowd, with the posteriors and the last path."""
        story, crowd = self.story, self.story.crowd
        shares = story.posterior
        brokers = [
            Broker(name(number), number >= crowd.h, number == 0, shares[number] if number < crowd.h else None)
            for number in range(crowd.n)
        ]
        last = story.paths[-1].brokers if story.paths else ()
        said = [f"{crowd.h} honest and {crowd.c} collaborating brokers; the publisher's is {name(0)}"]
        if last:
            said.append("last path " + ", ".join(map(name, last)))
        said.append(f"suspected: {self._suspects()}")
        return crowd_svg(brokers, last, self.head(), "; ".join(said))

    def _suspects(self, most: int = 3) -> str:
        shares = self.story.posterior
        if self.story.named is None and len(set(self.story.counts)) == 1:
            return f"everybody alike, {percent(shares[0])} each"
        order = sorted(range(len(shares)), key=lambda broker: (-shares[broker], broker))[:most]
        return ", ".join(f"{name(broker)} {percent(shares[broker])}" for broker in order)

    def one_path(self) -> Table:
        """What the formulas say of one path."""
        crowd = self.story.crowd
        bound = least_p_f(crowd.n, crowd.c, crowd.variant)
        # Rounded up: the number that stands there is enough.
        needs = bound.reason if bound.value is None else f"p_f >= {math.ceil(1000 * bound.value) / 1000:.3f}"
        rows = (
            ("P(H1+): a collaborator is on it", f"{collaborator_on_path(crowd):.3f}"),
            ("P(I|H1+): it had it from the publisher's", f"{predecessor_is_initiator(crowd):.3f}"),
            ("probable innocence", "yes" if probable_innocence(crowd) else "no"),
            ("that takes", needs.split(":")[0]),
            ("mean hops", f"{mean_path_length(crowd.p_f):.2f}"),
        )
        return Table(("one path", "formula"), rows)

    def so_far(self) -> Table:
        """What the collaborators have by now."""
        story = self.story
        noted = [(count, -broker) for broker, count in enumerate(story.counts) if count]
        best = sorted(noted, reverse=True)[:4]
        words = ", ".join(f"{name(-broker)} {count}" for count, broker in best) or "nobody"
        who = story.named
        verdict = (
            "nobody: no one stands out"
            if who is None
            else f"{name(who)}, {'rightly' if who == 0 else 'wrongly'}"
        )
        rows = (
            ("paths drawn", str(len(story.paths))),
            ("seen by a collaborator", str(sum(story.counts))),
            ("first predecessors", words + (", ..." if len(noted) > 4 else "")),
            ("they name", verdict),
            (f"P({name(0)}), the publisher's", f"{story.posterior[0]:.3f}"),
            ("hides as among", f"{2 ** entropy(story.posterior):.1f} of {story.crowd.h}"),
            ("P(named by now), theory", f"{named(story.crowd, story.messages, story.lifetime):.3f}"),
        )
        return Table(("after these messages", ""), rows)

    def html(self) -> str:
        """The picture and both tables."""
        right = self.one_path().html() + '<div style="height:14px"></div>' + self.so_far().html()
        head = f'<p class="mqs-caption">{text(self.head())}</p>'
        return head + (
            '<div style="display:flex;flex-wrap:wrap;gap:8px 24px">'
            f'<div style="flex:0 1 500px">{self.picture()}</div>'
            f'<div style="flex:1 1 290px;max-width:420px">{right}</div></div>'
        )

    def text(self) -> str:
        """The same as fixed-width text."""
        story = self.story
        last = " ".join(map(name, story.paths[-1].brokers)) if story.paths else "none"
        return "\n".join(
            [self.head(), f"last path {last}, then out", f"suspected: {self._suspects()}", "",
             repr(self.one_path()), "", repr(self.so_far())]
        )  # fmt: skip

    def __repr__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class Impossible:
    """What an explorer shows for settings that cannot be: the error, and what to change."""

    reason: str
    """The message of the error."""

    def html(self) -> str:
        """The reason."""
        return f'<p class="mqs-caption"><b>Not possible.</b> {text(self.reason)}</p>'

    def picture(self) -> str:
        """None."""
        return ""

    def text(self) -> str:
        """The reason."""
        return f"Not possible. {self.reason}"

    def __repr__(self) -> str:
        return self.text()
