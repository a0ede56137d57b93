"""amqtt plugins as a user would write them, good ones and bad ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin

from mqttsec.mqtt5 import Broker

HERE = "tests.mqtt5.users_plugins."
"""What goes before the names of the plugins below in a broker's settings."""

OWN_WARNINGS = [
    # amqtt's own warnings about its own option and its own dependency.
    pytest.mark.filterwarnings("ignore:The 'acl' option:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`BrokerSysPlugin`:DeprecationWarning"),
]

Asked = list[tuple[str, str, str]]


def plugin(broker: Broker, kind: type) -> Any:
    """The one plugin of a kind that a broker has loaded."""
    (found,) = (item for item in broker.plugins_manager.plugins if isinstance(item, kind))
    return found


class SlowAuthentication(BaseAuthPlugin):  # type: ignore[misc]
    """Takes a second to answer."""

    @dataclass
    class Config:
        admits: str | None = None

    async def authenticate(self, *, session: Any) -> bool:
        await asyncio.sleep(1.0)
        return self.config.admits in (None, session.username)


class BrokenAuthentication(BaseAuthPlugin):  # type: ignore[misc]
    async def authenticate(self, *, session: Any) -> bool:
        raise ZeroDivisionError


class Rules(BaseTopicPlugin):  # type: ignore[misc]
    """Forbids (client or "*", action or "*", topic) as configured; writes down what it was asked."""

    @dataclass
    class Config:
        forbidden: list[str]
        delay: float = 0.5

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.asked: Asked = []

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        await asyncio.sleep(self.config.delay)
        return self.rule(session, topic, action)

    def rule(self, session: Any, topic: str | None, action: Action | None) -> bool:
        assert topic is not None and action is not None
        self.asked.append((session.client_id, str(action.value), topic))
        wanted = {f"{who} {what} {topic}" for who in ("*", session.client_id) for what in ("*", action.value)}
        return not wanted & set(self.config.forbidden)


class SteadyRules(Rules):
    """The same at once; says so, and is asked once for each question."""

    answers_depend_on_configuration_only = True

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        return self.rule(session, topic, action)


class LyingRules(Rules):
    """Says that it answers at once, but waits."""

    answers_depend_on_configuration_only = True


class BrokenRules(BaseTopicPlugin):  # type: ignore[misc]
    """Fails on topics that begin with "bad"."""

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        if topic is not None and topic.startswith("bad"):
            raise ZeroDivisionError
        return None


class BrokenSteadyRules(BrokenRules):
    answers_depend_on_configuration_only = True


class Listener(BasePlugin):  # type: ignore[misc, type-arg]
    """Writes down every event with its facts."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.heard: list[tuple[str, dict[str, Any]]] = []

    async def on_broker_pre_start(self) -> None:
        self.heard.append(("pre_start", {}))

    async def on_broker_post_shutdown(self) -> None:
        self.heard.append(("post_shutdown", {}))

    async def on_broker_client_connected(self, **facts: Any) -> None:
        self.heard.append(("connected", facts))

    async def on_broker_client_disconnected(self, **facts: Any) -> None:
        self.heard.append(("disconnected", facts))

    async def on_broker_client_subscribed(self, **facts: Any) -> None:
        self.heard.append(("subscribed", facts))

    async def on_broker_client_unsubscribed(self, **facts: Any) -> None:
        self.heard.append(("unsubscribed", facts))

    async def on_broker_message_received(self, **facts: Any) -> None:
        self.heard.append(("received", facts))

    async def on_broker_message_broadcast(self, **facts: Any) -> None:
        self.heard.append(("broadcast", facts))

    async def on_broker_retained_message(self, **facts: Any) -> None:
        self.heard.append(("retained", facts))


class BrokenListener(BasePlugin):  # type: ignore[misc, type-arg]
    async def on_broker_client_connected(self, **facts: Any) -> None:
        raise ZeroDivisionError


class Restorer(BasePlugin):  # type: ignore[misc, type-arg]
    """Brings back subscriptions and retained messages at the start, as amqtt's persistence plugins do."""

    async def on_broker_post_start(self) -> None:
        from amqtt.broker import RetainedApplicationMessage

        await self.context.add_subscription("kept", None, None)
        await self.context.add_subscription("kept", "a/+", 1)
        await self.context.add_subscription("kept", "a/#b", 1)
        self.context.retained_messages["old/news"] = RetainedApplicationMessage(None, "old/news", b"kept", 1)
        await self.context.retain_message("new/news", b"said", 0)
