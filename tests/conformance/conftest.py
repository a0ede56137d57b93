"""Fixtures of the conformance suite: the broker under test and clients for it.

pytest tests/conformance                        our broker
pytest tests/conformance --broker mosquitto     a mosquitto process
pytest tests/conformance --broker host:port     any broker; tests that need settings are skipped
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from . import client as client_module
from .brokers import Brokers, Profile, Running, Unsupported, start
from .client import Connect, RawClient
from .known import KNOWN_DIFFERENCES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--broker", default="mqttsec", help="broker under test: mqttsec, mosquitto or host:port")


def broker_name(config: pytest.Config) -> str:
    # When pytest starts above this folder, the option is not on the command line yet.
    return str(config.getoption("--broker", default="mqttsec"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that the chosen broker is known to fail have to fail, for the noted reason."""
    differences = KNOWN_DIFFERENCES.get(broker_name(config), {})
    for item in items:
        for pattern, known in differences.items():
            if re.fullmatch(pattern, f"{item.path.stem}::{item.name}"):
                mark = pytest.mark.xfail(reason=known.reason, strict=known.always, raises=AssertionError)
                item.add_marker(mark)


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for what is known not to come."""
    if request.node.get_closest_marker("xfail"):
        monkeypatch.setattr(client_module, "PATIENCE", 0.4)


@pytest.fixture(scope="session")
def brokers(request: pytest.FixtureRequest) -> Iterator[Brokers]:
    """A function that starts the broker under test with given settings, once for equal settings."""
    running: dict[Profile, Running] = {}

    def get(profile: Profile) -> Running:
        if profile not in running:
            try:
                running[profile] = start(broker_name(request.config), profile)
            except Unsupported as reason:
                pytest.skip(str(reason))
        return running[profile]

    yield get
    for broker in running.values():
        broker.stop.close()


@pytest.fixture(scope="session")
def broker(brokers: Brokers) -> Running:
    """The broker with its own settings, shared by all tests."""
    return brokers(Profile())


@pytest.fixture
def connect(broker: Running) -> Iterator[Connect]:
    """Open a connection to the shared broker (or to `at`); closed without ceremony after the test."""
    clients: list[RawClient] = []

    def open_connection(protocol: int = 5, at: Running | None = None) -> RawClient:
        client = RawClient((at or broker).address, protocol)
        clients.append(client)
        return client

    yield open_connection
    for client in clients:
        client.drop()


@pytest.fixture
def joined(connect: Connect, name: str) -> Connect:
    """Open a connection and do the CONNECT with a fresh Client Identifier."""
    counter = itertools.count(1)

    def join(protocol: int = 5, at: Running | None = None, **settings: object) -> RawClient:
        client = connect(protocol, at)
        client.connect(f"{name}-{next(counter)}", **settings)  # type: ignore[arg-type]
        return client

    return join


NAMES = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A word that no other test uses, for Client Identifiers and topics."""
    return f"c{next(NAMES)}x"


@pytest.fixture(params=[5, 4], ids=["v5", "v311"])
def protocol(request: pytest.FixtureRequest) -> int:
    """The protocol level; a test that takes it runs for both."""
    level: int = request.param
    return level
