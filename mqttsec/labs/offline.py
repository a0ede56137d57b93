"""What runs in a browser without a server (`make lite`): a recorded handshake, and the theory of crowds.

Nothing on the import path of this module starts a thread, opens a socket or needs numpy: Pyodide has none of
the three. Tests hold it to that.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mqttsec.anonymity.crowd import Crowd, Variant, check_count
from mqttsec.anonymity.predecessor import named_by_message
from mqttsec.errors import ConfigurationError
from mqttsec.labs.anonymity_story import CrowdView, Impossible, tell
from mqttsec.trace import Trace, load, text_ladder
from mqttsec.widgets import Control, Explorer, ExplorerWidget, PlotView, Stepper, StepperWidget, Table

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PLACES = (Path(__file__).parents[1] / "_data" / "recorded", Path(__file__).parents[2] / "data" / "recorded")
_AT = (1, 5, 10, 20, 40)


class Offline:
    """A handshake of Scheme 3 as it was recorded, packet by packet, and a crowd of bridge brokers.

    `seed` fixes the paths that are drawn. Raises `ConfigurationError` if the recording is not there.
    """

    def __init__(self, seed: int = 7) -> None:
        self.seed = seed
        """What chance begins with."""
        self.trace = recorded("handshake")
        """The recorded handshake, Scheme 3, *hardened*, and two messages."""

    def __repr__(self) -> str:
        count = Stepper(self._views()).count
        return f"In the browser alone, seed {self.seed}: a recorded handshake of {count} packets"

    def _views(self) -> dict[str, Trace]:
        return {"everybody": self.trace}

    # -- the recorded handshake -------------------------------------------------------------------

    def stepper(self) -> StepperWidget:
        """Step through the handshake, each packet explained byte by byte."""
        return StepperWidget(Stepper(self._views(), title="The handshake of Scheme 3"))

    def ladder(self) -> str:
        """The same as text."""
        return text_ladder(self.trace)

    # -- theory ------------------------------------------------------------------------------------

    def crowd(
        self, n: int = 20, c: int = 4, p_f: float = 0.67, messages: int = 1, lifetime: int = 1
    ) -> CrowdView:
        """Send so many messages through a crowd and see what the collaborators make of them.

        Raises `ConfigurationError` for a crowd, a number or a lifetime that cannot be.
        """
        check_count(messages, "messages", 0)
        check_count(lifetime, "lifetime", 1)
        return CrowdView(tell(Crowd(n, c, p_f, Variant.A), messages, lifetime, self.seed))

    def explore(self) -> ExplorerWidget:
        """The same with sliders."""
        controls = (
            Control("n", "Brokers", 20, 4, 40), Control("c", "Collaborating", 4, 1, 20),
            Control("p_f", "p_f", 0.67, 0.0, 0.95, 0.01), Control("messages", "Messages", 1, 0, 60),
            Control("lifetime", "Lifetime", 1, 1, 60),
        )  # fmt: skip
        return ExplorerWidget(Explorer(self._possible, controls, "The crowd"))

    def _possible(self, **settings: float) -> CrowdView | Impossible:
        try:
            return self.crowd(**settings)  # type: ignore[arg-type]
        except ConfigurationError as error:
            return Impossible(str(error))

    def over_time(self, n: int = 20, c: int = 4, p_f: float = 0.67, messages: int = 40) -> PlotView:
        """P(the publisher is named), message by message, with fresh paths and with ten messages to a path.

        Raises `ConfigurationError` for a crowd or a number that cannot be.
        """
        figure = self._figure(Crowd(n, c, p_f), check_count(messages, "messages", 1))
        return PlotView(figure, "Named over time")

    def _figure(self, crowd: Crowd, messages: int) -> go.Figure:
        import plotly.graph_objects as go

        figure = go.Figure()
        for words, lifetime in (("a new path each", 1), ("10 messages to a path", 10)):
            figure.add_scatter(
                x=list(range(messages + 1)), y=named_by_message(crowd, messages, lifetime), name=words
            )
        figure.update_layout(title={"text": "Named over time"})
        figure.update_layout(xaxis_title="messages sent", yaxis_title="P(named)", yaxis_range=[0, 1])
        return figure

    def named(self, n: int = 20, c: int = 4, p_f: float = 0.67) -> Table:
        """The same as numbers."""
        crowd = Crowd(n, c, p_f)
        fresh, sticky = (named_by_message(crowd, _AT[-1], lifetime) for lifetime in (1, 10))
        rows = tuple((at, f"{fresh[at]:.3f}", f"{sticky[at]:.3f}") for at in _AT)
        return Table(("messages", "a new path each", "10 to a path"), rows, str(crowd))


def recorded(name: str) -> Trace:
    """A recorded trace of `data/recorded`. Raises `ConfigurationError` if there is none of this name."""
    for place in _PLACES:
        if (place / f"{name}.json").is_file():
            return load(place / f"{name}.json")
    raise ConfigurationError(f"there is no recorded trace {name!r}: data/recorded has them")
