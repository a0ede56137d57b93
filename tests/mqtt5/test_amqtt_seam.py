"""What we use of amqtt without a promise in its manual; an upgrade that changes it fails here, by name.

The tables are for a human; the tests named "complete" read our own source so that they stay so.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
from pathlib import Path

import amqtt.broker
import amqtt.plugins.manager
import amqtt.session
import pytest
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.contexts import Action, BrokerConfig, ListenerConfig, ListenerType
from amqtt.events import BrokerEvents, MQTTEvents
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.plugins.manager import PluginManager

import mqttsec.mqtt5
from mqttsec.mqtt5.broker import Broker
from mqttsec.mqtt5.connection import Connection
from mqttsec.mqtt5.session import Session
from mqttsec.net import run_virtual
from tests.mqtt5.house import EXTERNAL

OVERRIDDEN = {
    amqtt.broker.Broker: {
        "__init__": "(self, config, loop, plugin_namespace)",
        "start": "(self)",
        "shutdown": "(self)",
        "ws_connected": "(self, websocket, listener_name)",
        "retain_message": "(self, source_session, topic_name, data, qos)",
        "create_offline_session": "(self, client_id)",
        "add_subscription": "(self, subscription, session)",
        "_broadcast_loop": "(self)",
        "_session_monitor": "(self)",
        "_create_server_instance": "(self, listener_name, listener_type, address, port, ssl_context)",
        "_create_ssl_context": "(listener)",
        "_client_connected": "(self, listener_name, reader, writer)",
        "_del_all_subscriptions": "(self, session)",
        "_broadcast_message": "(self, session, topic, data, force_qos)",
    },
    BrokerProtocolHandler: {
        "__init__": "(self, plugins_manager, session, loop)",
        "stop": "(self)",
    },
    amqtt.session.Session: {
        "__init__": "(self)",
        "_init_states": "(self)",
        "inflight_in_count": "property",
        "inflight_out_count": "property",
        "retained_messages_count": "property",
        "clear_queues": "(self)",
    },
    amqtt.broker.RetainedApplicationMessage: {
        "__init__": "(self, source_session, topic, data, qos)",
    },
}
"""Members that our subclasses replace, with the parameters they are called by."""

CALLED = {
    amqtt.broker.Broker: {
        "_authenticate": "(self, session, _)",
        "stream_connected": "(self, reader, writer, listener_name)",
        "external_connected": "(self, reader, writer, listener_name)",
        "_cleanup_session": "(self, client_id)",
        "_stop_handler": "(self, handler)",
        "internal_message_broadcast": "(self, topic, data, qos)",
        "sessions": "property",
        "subscriptions": "property",
        "retained_messages": "property",
    },
    amqtt.session.Session: {
        "_on_enter_connected": "(self)",
        "_on_enter_disconnected": "(self)",
    },
    PluginManager: {
        "fire_event": "(self, event_name, wait, method_kwargs)",
        "map_plugin_topic": "(self, session, topic, action)",
        "map_plugin_auth": "(self, session)",
        "is_topic_filtering_enabled": "(self)",
        "close": "(self)",
        "plugins": "property",
    },
    amqtt.broker.Server: {"close_instance": "(self)"},
    ReaderAdapter: {"read": "(self, n)"},
    WriterAdapter: {
        "write": "(self, data)",
        "drain": "(self)",
        "close": "(self)",
        "get_peer_info": "(self)",
        "get_ssl_info": "(self)",
    },
}
"""Members that we call, or that amqtt calls and we rely on."""

INSTANCE = {
    "broker": {
        "_loop",
        "_servers",
        "_sessions",
        "_subscriptions",
        "_retained_messages",
        "_broadcast_shutdown_waiter",
        "listeners_config",
        "config",
        "logger",
        "plugins_manager",
        "transitions",
    },
    "plugins_manager": {"_topic_plugins", "_auth_plugins", "_event_plugin_callbacks", "context"},
}
"""Attributes that only instances have."""


def members(table: dict[type, dict[str, str]]) -> list[object]:
    return [
        pytest.param(kind, name, shape, id=f"{kind.__name__}.{name}")
        for kind, names in table.items()
        for name, shape in names.items()
    ]


def shape_of(kind: type, name: str) -> str:
    member = inspect.getattr_static(kind, name)
    if isinstance(member, property):
        return "property"
    function = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
    return f"({', '.join(inspect.signature(function).parameters)})"


def test_the_version_is_the_one_that_was_read() -> None:
    assert importlib.metadata.version("amqtt") == "0.12.1"


@pytest.mark.parametrize(("kind", "name", "shape"), [*members(OVERRIDDEN), *members(CALLED)])
def test_a_member_of_amqtt_is_there_and_takes_what_it_took(kind: type, name: str, shape: str) -> None:
    assert hasattr(kind, name), f"amqtt's {kind.__name__} has no {name} any more"
    assert shape_of(kind, name) == shape


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(Broker, amqtt.broker.Broker), (Connection, BrokerProtocolHandler), (Session, amqtt.session.Session)],
)
def test_the_list_of_overridden_members_is_complete(ours: type, theirs: type) -> None:
    replaced = {
        name
        for kind in ours.__mro__[: ours.__mro__.index(theirs)]
        for name in vars(kind)
        if any(name in vars(parent) for parent in theirs.__mro__[:-1])
        # What every class has of its own, more of it with each Python; comparing is ours altogether.
        and (name == "__init__" or not name.startswith("__"))
    }
    assert replaced == set(OVERRIDDEN[theirs])


def test_instances_have_what_we_touch() -> None:
    async def main() -> None:
        broker = amqtt.broker.Broker({"listeners": EXTERNAL, "plugins": {}})
        for name in INSTANCE["broker"]:
            assert hasattr(broker, name), f"amqtt's Broker has no {name} any more"
        for name in INSTANCE["plugins_manager"]:
            assert hasattr(broker.plugins_manager, name), f"amqtt's PluginManager has no {name} any more"
        assert isinstance(broker.plugins_manager._event_plugin_callbacks, dict)
        assert broker.transitions.state == "new"

    run_virtual(main())


def test_the_list_of_private_names_is_complete() -> None:
    """Every `_name` that our modules take from an object of amqtt's, or of a class of ours below it."""
    known = {name for table in (OVERRIDDEN, CALLED) for names in table.values() for name in names}
    known |= {name for names in INSTANCE.values() for name in names}
    amqtts = {
        name
        for kind in (amqtt.broker.Broker, BrokerProtocolHandler, amqtt.session.Session, PluginManager)
        for name in dir(kind)
    }

    async def main() -> set[str]:
        broker = amqtt.broker.Broker({"listeners": EXTERNAL, "plugins": {}})
        handler, session = broker.create_offline_session("x")
        return {name for item in (broker, broker.plugins_manager, handler, session) for name in vars(item)}

    amqtts |= run_virtual(main())
    folder = Path(mqttsec.mqtt5.__file__).parent
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
            ):
                assert node.attr not in amqtts - known - _OURS_BY_THE_SAME_NAME, f"{path.name}: {node.attr}"


_OURS_BY_THE_SAME_NAME = {"_plugins"}
"""Names that happen to be amqtt's as well, in objects of ours that have nothing to do with it."""


@pytest.mark.parametrize("name", ["TCP", "WS", "EXTERNAL"])
def test_listener_types(name: str) -> None:
    assert hasattr(ListenerType, name)


def test_enumerations_and_configuration_fields() -> None:
    assert {action.name for action in Action} == {"SUBSCRIBE", "PUBLISH", "RECEIVE"}
    for event in (
        "CLIENT_CONNECTED",
        "CLIENT_DISCONNECTED",
        "CLIENT_SUBSCRIBED",
        "CLIENT_UNSUBSCRIBED",
        "MESSAGE_RECEIVED",
        "MESSAGE_BROADCAST",
        "RETAINED_MESSAGE",
        "PRE_START",
        "POST_START",
        "PRE_SHUTDOWN",
        "POST_SHUTDOWN",
    ):
        assert hasattr(BrokerEvents, event)
    assert (MQTTEvents.PACKET_SENT, MQTTEvents.PACKET_RECEIVED) == (
        "mqtt_packet_sent",
        "mqtt_packet_received",
    )
    config = BrokerConfig.from_dict({"listeners": EXTERNAL, "plugins": {}})
    assert config.listeners["default"].max_connections == 0
    assert {"type", "bind", "ssl", "certfile", "keyfile", "cafile"} <= set(
        ListenerConfig.__dataclass_fields__
    )


def test_the_words_that_amqtt_logs_when_it_cannot_start() -> None:
    # Our filter on the log knows them.
    assert '"Broker startup failed"' in inspect.getsource(amqtt.broker.Broker.start)
