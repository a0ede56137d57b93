"""The explorer: a few settings, and what comes out for them, again at every change.

The view-model; `ExplorerWidget` in `shell` makes a slider of each `Control` and a list of each `Choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mqttsec.errors import ConfigurationError
from mqttsec.widgets.look import block


@dataclass(frozen=True)
class Control:
    """One setting: a number on a slider."""

    name: str
    """Keyword of the experiment."""
    label: str
    """What stands before the slider."""
    start: float
    """Where it begins, and returns with Reset."""
    low: float
    """The smallest value."""
    high: float
    """The largest value."""
    step: float = 1
    """The distance of two values; whole numbers if it is whole."""

    def valid(self, value: float) -> float:
        """`value` on the grid of the control, within its bounds."""
        steps = round((min(max(value, self.low), self.high) - self.low) / self.step)
        exact = self.low + steps * self.step
        return round(exact) if self.is_whole else round(exact, 6)

    @property
    def is_whole(self) -> bool:
        """True if the values are whole numbers."""
        return float(self.step).is_integer() and float(self.low).is_integer()


@dataclass(frozen=True)
class Choice:
    """One setting: one of several words."""

    name: str
    """Keyword of the experiment."""
    label: str
    """What stands before the list."""
    start: str
    """Where it begins, and returns with Reset."""
    options: tuple[str, ...]
    """The words."""

    def valid(self, value: object) -> str:
        """`value` if it is one of the options, else raises `ConfigurationError`."""
        if value not in self.options:
            raise ConfigurationError(f"{self.label}: {value!r} is none of {', '.join(self.options)}")
        return str(value)


Setting = float | str
"""The value of a control: a number, or the word chosen."""


class Shown(Protocol):
    """What an experiment returns."""

    def html(self) -> str:
        """The result for the page, without the style sheet."""

    def picture(self) -> str:
        """The result as one SVG picture, for a page without a kernel; may be empty."""

    def text(self) -> str:
        """The result as fixed-width text."""


class Explorer:
    """The current settings of an experiment and its result.

    `experiment` takes the controls by name and must be quick: it runs at every change.
    """

    def __init__(
        self, experiment: Callable[..., Shown], controls: Sequence[Control | Choice], name: str
    ) -> None:
        self._experiment = experiment
        self.controls = tuple(controls)
        """The settings that can be changed."""
        self.name = name
        """What the experiment is about; stands in the `repr`."""
        self._values: dict[str, Setting] = {control.name: control.start for control in controls}
        self._result = experiment(**self._values)

    @property
    def values(self) -> Mapping[str, Setting]:
        """The settings by name."""
        return dict(self._values)

    @property
    def result(self) -> Shown:
        """What came out for these settings."""
        return self._result

    def set(self, **values: Any) -> None:
        """Change settings and run. Raises `ConfigurationError` for a setting that there is not."""
        controls = {control.name: control for control in self.controls}
        for name, value in values.items():
            if name not in controls:
                raise ConfigurationError(f"there is no setting {name!r}; there are {', '.join(controls)}")
            self._values[name] = controls[name].valid(value)
        self._result = self._experiment(**self._values)

    def reset(self) -> None:
        """Back to where it began."""
        self.set(**{control.name: control.start for control in self.controls})

    def html(self) -> str:
        """The result for the page."""
        return block(self._result.html(), kind="mqs-explorer")

    def text(self) -> str:
        """The result as text."""
        return self._result.text()

    def __repr__(self) -> str:
        values = (f"{control.label} {_said(self._values[control.name])}" for control in self.controls)
        return f"{self.name}: {', '.join(values)}"


def _said(value: Setting) -> str:
    return value if isinstance(value, str) else f"{value:g}"
