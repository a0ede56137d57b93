"""MQTT 5.0 and 3.1.1: the broker in the process, and its clients."""

from mqttsec.mqtt5.auth import AuthConversation, AuthenticationMethod, AuthSuccess
from mqttsec.mqtt5.broker import Broker
from mqttsec.mqtt5.channel import Channel
from mqttsec.mqtt5.inprocess import InProcessBroker
from mqttsec.mqtt5.settings import NEVER, BrokerSettings

__all__ = [
    "NEVER",
    "AuthConversation",
    "AuthSuccess",
    "AuthenticationMethod",
    "Broker",
    "BrokerSettings",
    "Channel",
    "InProcessBroker",
]
