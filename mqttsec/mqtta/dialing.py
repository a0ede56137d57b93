"""How a bridge broker reaches other brokers: from which host, over what, in which version of MQTT."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from mqttsec.errors import ConnectionFailed, ProtocolError
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.notices import At
from mqttsec.net import MemoryNetwork
from mqttsec.packets import MQTT_3_1_1, MQTT_5


@dataclass(frozen=True)
class Dialer:
    """How a bridge broker reaches others."""

    host: str
    """Its own host in the network in memory."""
    network: MemoryNetwork | None
    """The network in memory; None: TCP."""
    patience: float = 5.0
    """Seconds for which a broker that does not answer is tried."""
    keep_alive: int = 30
    """Keep Alive in seconds."""
    protocols: dict[At, int] = field(default_factory=dict)
    """Protocol Version that each public broker was found to speak."""

    async def find_protocol(self, at: At) -> int:
        """Ask a public broker, once, by a CONNECT without properties: one of 3.1.1 may misread them and wait.

        In memory all speak MQTT 5, unless `protocols` says otherwise. Raises what connecting raises where
        nobody answers.
        """
        if at not in self.protocols:
            if self.network is not None:
                return MQTT_5
            client = self.client("", timeout=self.patience)
            try:
                await client.connect(at.host, at.port)
            except (ConnectionFailed, ProtocolError) as error:
                # It refuses the version in its own words, or closes; an `OSError` is no answer.
                if isinstance(error.__cause__, (OSError, asyncio.TimeoutError)):
                    raise
                self.protocols[at] = MQTT_3_1_1
            else:
                self.protocols[at] = MQTT_5
                await client.disconnect()
        return self.protocols[at]

    def client(self, client_id: str, **options: Any) -> LightClient:
        """A light client whose connections come from this host."""
        network: Any = None if self.network is None else _From(self.network, self.host)
        return LightClient(client_id, network=network, keep_alive=self.keep_alive, **options)


class _From:
    """A network as one host sees it: connections leave from there, whatever the client is called."""

    def __init__(self, network: MemoryNetwork, host: str) -> None:
        self._network, self._host = network, host

    async def connect(self, make: Any, host: str, port: int, **options: Any) -> Any:
        return await self._network.connect(make, host, port, **{**options, "source": self._host})
