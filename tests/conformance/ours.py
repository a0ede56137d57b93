"""Our broker with the settings of a `Profile`, and the plugin and Authentication Method that some need."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amqtt.contexts import Action
from amqtt.plugins.base import BaseTopicPlugin
from amqtt.session import Session
from pwdlib.hashers.argon2 import Argon2Hasher

from mqttsec.errors import AuthenticationError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess, BrokerSettings, InProcessBroker
from mqttsec.packets import Properties

from .brokers import Profile, Unsupported


class Forbidding(BaseTopicPlugin):
    """An amqtt plugin: nobody publishes or subscribes under "secret/"."""

    answers_depend_on_configuration_only = True

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        """False for what is forbidden."""
        return not str(topic).startswith("secret/")


class Challenge:
    """Method "challenge": each b"more" brings another challenge, b"proof" lets in, all else is refused.

    b"talk" is answered with a Reason String and User Properties, to see what becomes of them.
    """

    method = "challenge"

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        """Ask until the proof comes."""
        data = conversation.data
        while data in (b"hello", b"more", b"talk"):
            talk = Properties(reason_string="r" * 300, user_property=(("name", "v" * 300),))
            data = await conversation.challenge(b"prove it", talk if data == b"talk" else Properties())
        if data == b"proof":
            return AuthSuccess(b"welcome")
        if data == b"proof, and talk":
            return AuthSuccess(b"welcome", (("name", "v" * 300),))
        raise AuthenticationError("the proof is wrong " * 20)


@contextlib.contextmanager
def broker(profile: Profile) -> Iterator[tuple[str, int]]:
    """An in-process broker with these settings."""
    if not profile.empty_client_id:
        raise Unsupported("our broker gives an identifier to every client that asks for one")
    given: dict[str, Any] = {
        "maximum_packet_size": profile.maximum_packet_size,
        "receive_maximum": profile.receive_maximum,
        "topic_alias_maximum": profile.topic_alias_maximum,
        "server_keep_alive": profile.server_keep_alive,
    }
    settings = BrokerSettings(
        maximum_qos=profile.maximum_qos,
        retain_available=profile.retain_available,
        **{name: value for name, value in given.items() if value is not None},
    )
    plugins: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    with tempfile.TemporaryDirectory() as folder:
        if profile.users:
            passwords = Path(folder, "passwords")
            lines = (f"{user}:{Argon2Hasher().hash(secret)}\n" for user, secret in profile.users)
            passwords.write_text("".join(lines), encoding="utf-8")
            plugins = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(passwords)}}
        if profile.forbidden is not None:
            assert profile.forbidden == "secret"
            plugins[f"{__name__}.{Forbidding.__name__}"] = {}
        with InProcessBroker(
            settings,
            websocket_port=0 if profile.websocket else None,
            plugins=plugins,
            methods=[Challenge()] if profile.enhanced_authentication else [],
        ) as running:
            yield running.host, running.websocket_port if profile.websocket else running.port
