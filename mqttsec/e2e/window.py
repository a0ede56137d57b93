"""Which sequence numbers of a channel have come (*hardened*, specification 1.7): each serves once."""

from __future__ import annotations


class Window:
    """The numbers that came, as far back as it remembers; numbers begin with 1.

    `width` is how far one may come late; 1: not at all.
    """

    __slots__ = ("_all", "_mask", "highest", "run", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        """How many numbers back are remembered."""
        self.highest = 0
        """The highest number so far."""
        self.run = 0
        """How many numbers up to the highest came one after the other. Who finds the next one in order may
        count both up: nothing else is to be done then."""
        self._mask = 0
        # Bit i is set when number `highest - run - i` came.
        self._all = (1 << width) - 1

    def is_new(self, number: int) -> bool:
        """False for a number that came before, or too late to tell."""
        behind = self.highest - number
        if behind < 0:
            return True
        before_run = behind - self.run
        return number >= 1 and behind < self.width and before_run >= 0 and not self._mask >> before_run & 1

    def accept(self, number: int) -> None:
        """Enter a number that is new."""
        ahead = number - self.highest
        if ahead == 1:
            self.highest = number
            self.run += 1
        elif ahead > 0:
            # A number that is far ahead shifts nothing: 2**63 bits would not fit into any memory.
            run, step = min(self.run, self.width), min(ahead, self.width)
            mask = self._mask << run | (1 << run) - 1
            self._mask = (mask << step | 1) & self._all
            self.highest, self.run = number, 0
        else:
            self._mask |= 1 << -ahead - self.run
