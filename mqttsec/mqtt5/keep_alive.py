"""The broker's side of Keep Alive (3.1.2.10): who says nothing for too long is cut off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mqttsec.packets import ReasonCode

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection


class KeepAlive:
    """Watches over one connection. Its timer is armed once and re-armed for the rest: a packet costs none."""

    __slots__ = ("_allowed", "_connection", "_timer", "heard")

    def __init__(self, connection: Connection) -> None:
        self.heard = 0.0
        """When something last came from the client, by the loop's time."""
        self._connection = connection
        self._allowed = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, keep_alive: int) -> None:
        """Watch from now on; `keep_alive` in seconds, 0 turns it off."""
        # [MQTT-3.1.2-22] "If the Keep Alive value is non-zero and the Server does not receive an MQTT Control
        # Packet from the Client within one and a half times the Keep Alive time period, it MUST close
        # the Network Connection".
        self._allowed = keep_alive * 1.5
        if self._allowed:
            self._timer = self._connection.broker.call_later(self._allowed, self._look)

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        connection = self._connection
        now = connection.broker.now()
        if connection.is_busy:
            # The broker makes the client wait and does not listen: not the client's silence.
            self.heard = now
        left = self.heard + self._allowed - now
        if left > 0:
            self._timer = connection.broker.call_later(left, self._look)
        else:
            connection.end(
                ReasonCode.KEEP_ALIVE_TIMEOUT, "nothing came within one and a half times the Keep Alive"
            )
