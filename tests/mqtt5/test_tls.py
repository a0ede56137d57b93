"""TLS listeners: the server's certificate, and client certificates that are really required."""

from __future__ import annotations

import contextlib
import ssl

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5 import BrokerSettings
from mqttsec.packets import (
    Disconnect,
)
from tests.mqtt5.authority import Authority, tls_listener
from tests.mqtt5.house import connect_packet
from tests.mqtt5.sockets import Wire, listeners, run, running


def test_tls_shows_the_servers_certificate(authority: Authority, stranger: Authority) -> None:
    async def main() -> None:
        async with running(listeners(tls=tls_listener(authority))) as broker:
            client = await Wire.open(broker.bound["tls"], authority.client_context())
            await client.round_trip("a")
            (connection,) = broker.connections
            assert connection.protected and connection.listener == "tls"
            session = broker.session("a")
            assert session.ssl_object.cipher() is not None
            with pytest.raises(ssl.SSLCertVerificationError):
                await Wire.open(broker.bound["tls"], stranger.client_context())
            plain = await Wire.open(broker.bound["default"])
            await plain.round_trip("b")
            await client.close()
            await plain.close()

    run(main)


def test_a_client_certificate_is_required_when_asked_for(authority: Authority, stranger: Authority) -> None:
    # amqtt's own listener asks, and takes no for an answer.
    async def main() -> None:
        settings = BrokerSettings(require_client_certificate=True)
        async with running(listeners(tls=tls_listener(authority)), settings) as broker:
            for context in (
                authority.client_context(),
                authority.client_context(stranger.issue("client")),
            ):
                # TLS 1.3 tells the client after its handshake, TLS 1.2 in it.
                with contextlib.suppress(ssl.SSLError, ConnectionError):
                    client = await Wire.open(broker.bound["tls"], context)
                    client.send(connect_packet("a"))
                    assert await client.recv() is None
                    await client.close()
            assert not broker.sessions
            client = await Wire.open(broker.bound["tls"], authority.client_context(authority.issue("client")))
            await client.round_trip("a")
            subject = dict(pair[0] for pair in broker.session("a").ssl_object.getpeercert()["subject"])
            assert subject == {"commonName": "client"}
            await client.close()

    run(main)


def test_without_being_asked_for_a_client_certificate_is_welcome_but_checked(
    authority: Authority, stranger: Authority
) -> None:
    async def main() -> None:
        async with running(listeners(tls=tls_listener(authority))) as broker:
            client = await Wire.open(broker.bound["tls"], authority.client_context(authority.issue("client")))
            await client.round_trip("a")
            await client.close()
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                wrong = await Wire.open(
                    broker.bound["tls"], authority.client_context(stranger.issue("client"))
                )
                wrong.send(connect_packet("b"))
                assert await wrong.recv() is None
                await wrong.close()
            assert broker.session("b") is None

    run(main)


def test_required_client_certificates_need_a_ca(authority: Authority) -> None:
    async def main() -> None:
        listener = {**tls_listener(authority), "cafile": None}
        with pytest.raises(ConfigurationError, match="cafile"):
            async with running(listeners(tls=listener), BrokerSettings(require_client_certificate=True)):
                raise AssertionError("started")

    run(main)


def test_a_key_that_is_not_the_certificates_is_a_configuration_error(authority: Authority) -> None:
    async def main() -> None:
        listener = {**tls_listener(authority), "keyfile": authority.issue("other")[1]}
        with pytest.raises(ConfigurationError, match="(?i)key"):
            async with running(listeners(tls=listener)):
                raise AssertionError("started")

    run(main)


def test_the_last_word_arrives_over_tls(authority: Authority) -> None:
    async def main() -> None:
        async with running(listeners(tls=tls_listener(authority))) as broker:
            first = await Wire.open(broker.bound["tls"], authority.client_context())
            await first.round_trip("a")
            second = await Wire.open(broker.bound["tls"], authority.client_context())
            await second.round_trip("a")
            taken = await first.recv()
            assert isinstance(taken, Disconnect) and taken.reason_code == 0x8E
            assert await first.recv() is None
            await first.close()
            await second.close()

    run(main)
