"""MQTT 5.0 and 3.1.1: the broker in the process, and its clients."""

from mqttsec.mqtt5.auth import AuthConversation, AuthenticationMethod, AuthSuccess
from mqttsec.mqtt5.broker import Broker
from mqttsec.mqtt5.channel import Channel
from mqttsec.mqtt5.client import Client
from mqttsec.mqtt5.client_auth import Authenticator
from mqttsec.mqtt5.inprocess import InProcessBroker
from mqttsec.mqtt5.light import LightClient
from mqttsec.mqtt5.settings import NEVER, BrokerSettings

__all__ = [
    "NEVER",
    "AuthConversation",
    "AuthSuccess",
    "AuthenticationMethod",
    "Authenticator",
    "Broker",
    "BrokerSettings",
    "Channel",
    "Client",
    "InProcessBroker",
    "LightClient",
]
