"""A laboratory for MQTT security: real MQTT 5 brokers in the process, every packet explained.

    from mqttsec import labs                            # in a notebook: one object per lab
    from mqttsec import InProcessBroker, Client, Trace  # in a program

The names below are the public face. Each is imported when it is first asked for (PEP 562), so that
`import mqttsec` is quick and opens no socket, starts no thread and loads neither amqtt nor a widget.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mqttsec import check as check
    from mqttsec import labs as labs
    from mqttsec.errors import ConfigurationError as ConfigurationError
    from mqttsec.errors import MqttsecError as MqttsecError
    from mqttsec.errors import ProtocolError as ProtocolError
    from mqttsec.mqtt5 import Broker as Broker
    from mqttsec.mqtt5 import BrokerSettings as BrokerSettings
    from mqttsec.mqtt5 import Client as Client
    from mqttsec.mqtt5 import InProcessBroker as InProcessBroker
    from mqttsec.mqtt5 import LightClient as LightClient
    from mqttsec.net import MemoryNetwork as MemoryNetwork
    from mqttsec.net import run_virtual as run_virtual
    from mqttsec.packets import explain as explain
    from mqttsec.trace import Trace as Trace

__version__ = "0.1.0"

_HOME = {
    "Broker": "mqttsec.mqtt5",
    "BrokerSettings": "mqttsec.mqtt5",
    "Client": "mqttsec.mqtt5",
    "ConfigurationError": "mqttsec.errors",
    "InProcessBroker": "mqttsec.mqtt5",
    "LightClient": "mqttsec.mqtt5",
    "MemoryNetwork": "mqttsec.net",
    "MqttsecError": "mqttsec.errors",
    "ProtocolError": "mqttsec.errors",
    "Trace": "mqttsec.trace",
    "explain": "mqttsec.packets",
    "run_virtual": "mqttsec.net",
}
"""Public name: the room that it lives in."""

_ROOMS = ("check", "labs")
"""Rooms that a notebook imports by name."""

__all__ = ["__version__", *sorted(_HOME), *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"mqttsec.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'mqttsec' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
