"""amqtt's plugins at the broker's speed.

amqtt's plugin manager starts two or three tasks for every question, which costs more than the whole
delivery of a message. A topic plugin whose answer depends only on its configuration and on the
client's name is asked by stepping its coroutine once, and its answer is remembered. amqtt's own
two are of that kind; a plugin of yours joins by the class attribute
`answers_depend_on_configuration_only = True`. All others are asked by amqtt, every time.
"""

from __future__ import annotations

from typing import Any

from amqtt.contexts import Action
from amqtt.plugins.base import BaseTopicPlugin
from amqtt.plugins.manager import PluginManager
from amqtt.plugins.topic_checking import TopicAccessControlListPlugin, TopicTabooPlugin

from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.session import Session
from mqttsec.packets import PacketType

_REMEMBERED = 100_000
# Answers that are kept; each 64 characters of a topic count as one more.
_STEADY = (TopicAccessControlListPlugin, TopicTabooPlugin)


class TopicFiltering:
    """May this client publish to, subscribe to, or receive from this topic?

    As in amqtt one plugin's False forbids, and None leaves it to the others. A plugin that fails forbids.
    """

    def __init__(self, manager: PluginManager[Any]) -> None:
        self._manager = manager
        self._plugins: list[BaseTopicPlugin] = list(manager._topic_plugins)
        self.enabled = bool(self._plugins) and manager.is_topic_filtering_enabled()
        """False when no plugin has a say: everything is allowed."""
        self.immediate = all(
            type(plugin) in _STEADY or getattr(plugin, "answers_depend_on_configuration_only", False)
            for plugin in self._plugins
        )
        """True when every plugin answers at once; then `permits` may be used."""
        self._answers: dict[tuple[str, str | None, str, Action], bool] = {}
        self._remembered = 0

    def permits(self, session: Session, topic: str, action: Action) -> bool:
        """The answer of plugins that answer at once."""
        if not self.enabled:
            return True
        key = (session.client_id, session.username, topic, action)
        answer = self._answers.get(key)
        if answer is None:
            answer = all(self._answer(plugin, session, topic, action) for plugin in self._plugins)
            size = 1 + len(topic) // 64
            if self._remembered + size > _REMEMBERED:
                self._answers.clear()
                self._remembered = 0
            self._remembered += size
            self._answers[key] = answer
        return answer

    @staticmethod
    def _answer(plugin: BaseTopicPlugin, session: Session, topic: str, action: Action) -> bool:
        try:
            return _step(plugin, session, topic, action) is not False
        except Exception as error:
            report_fault(type(plugin).__name__, session.client_id, error)
            return False

    async def ask(self, session: Session, topic: str, action: Action) -> bool:
        """The answer of any plugins; waits where they wait."""
        if not self.enabled:
            return True
        if self.immediate:
            return self.permits(session, topic, action)
        try:
            answers = await self._manager.map_plugin_topic(session=session, topic=topic, action=action)
        except Exception as error:
            report_fault("a topic plugin", session.client_id, error)
            return False
        return all(answer is not False for answer in answers.values())


def _step(plugin: BaseTopicPlugin, session: Session, topic: str, action: Action) -> bool | None:
    coroutine = plugin.topic_filtering(session=session, topic=topic, action=action)
    try:
        coroutine.send(None)
    except StopIteration as answer:
        return answer.value  # type: ignore[no-any-return]
    coroutine.close()
    raise TypeError(f"{type(plugin).__name__} says answers_depend_on_configuration_only, but waits")


class PacketView:
    """What amqtt's packet events show of a packet: its type and its length."""

    class FixedHeader:
        """The first byte."""

        def __init__(self, first: int) -> None:
            self.packet_type = first >> 4
            self.flags = first & 0x0F

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.fixed_header = PacketView.FixedHeader(frame[0])
        self.bytes_length = len(frame)

    @property
    def name(self) -> str:
        """Name of the packet type."""
        return PacketType(self.fixed_header.packet_type).name

    def __repr__(self) -> str:
        return f"{self.name}({self.bytes_length} bytes)"
