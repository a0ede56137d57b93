"""Networks in memory, virtual time, and the background thread for real time (design idea 4)."""

from mqttsec.net.clock import VirtualClockLoop, run_virtual
from mqttsec.net.connection import Connection
from mqttsec.net.linksocket import LinkSocket
from mqttsec.net.network import MemoryNetwork, MemoryServer
from mqttsec.net.runtime import Runtime, runtime
from mqttsec.net.settings import Address, LinkSettings, Loss, LossCause, OnLoss
from mqttsec.net.transport import LinkTransport

__all__ = [
    "Address",
    "Connection",
    "LinkSettings",
    "LinkSocket",
    "LinkTransport",
    "Loss",
    "LossCause",
    "MemoryNetwork",
    "MemoryServer",
    "OnLoss",
    "Runtime",
    "VirtualClockLoop",
    "run_virtual",
    "runtime",
]
