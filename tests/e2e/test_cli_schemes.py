"""`mqttsec broker`, `pub`, `sub` and `identities` under a scheme, each in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttsec.crypto.pem import read_authority, read_identity, read_trust
from mqttsec.e2e import SCHEMES
from mqttsec.e2e.commands import identities
from mqttsec.e2e.company import TOPIC
from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5 import Client

MQTTSEC = [sys.executable, "-m", "mqttsec"]


def run(*arguments: object, given: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [*MQTTSEC, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, input=given, check=False)


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*MQTTSEC, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identities")
    assert identities.main([str(folder), "broker", "alice", "s1", "s2"]) == 0
    return folder


@contextlib.contextmanager
def broker(folder: Path, *options: object) -> Iterator[int]:
    process = start("broker", "--port", 0, "--identities", folder, *options)
    assert process.stdout is not None and process.stderr is not None
    try:
        line = process.stdout.readline()
        assert "speaks 'mqttsec-e2e/1" in line, line + process.stderr.read()
        yield int(process.stdout.readline().rsplit(":", 1)[1])
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 0 and not errors, errors


@pytest.mark.parametrize("number", SCHEMES)
def test_plaintext_across_processes(folder: Path, number: int) -> None:
    with broker(folder, "--scheme", number, "--protect", "weather/#") as port:
        common = ("--port", port, "--scheme", number, "--identities", folder)
        readers = [
            start(
                "sub", *common, "--name", name, "--from", "alice", TOPIC, "--count", 2, "--timeout", 20, "-v"
            )
            for name in ("s1", "s2")
        ]
        # Subscribers wait for a publisher that is late, publishers for their subscribers.
        done = run("pub", *common, "--name", "alice", "--subscribers", 2, TOPIC, given="12.8 C\n13.1 °C\n")
        assert (done.returncode, done.stderr) == (0, "")
        for name, reader in zip(("s1", "s2"), readers, strict=True):
            out, errors = reader.communicate(timeout=30)
            assert reader.returncode == 0, errors
            assert out == f"alice {TOPIC} 12.8 C\nalice {TOPIC} 13.1 °C\n"
            assert f"{name} reads {TOPIC} of alice" in errors
        with Client(client_id="plain") as plain:
            plain.connect_and_wait("127.0.0.1", port)
            plain.subscribe_and_wait("news")
            plain.publish_and_wait("news", "served")
            assert plain.message().payload == b"served"


def test_errors_are_one_clear_line(folder: Path) -> None:
    with broker(folder, "--scheme", 3, "--protect", "weather/#", "--wait-limit", 0.3) as port:
        here = ("--port", port, "--identities", folder)
        alice = (*here, "--scheme", 3, "--name", "alice")
        s1 = (*here, "--scheme", 3, "--name", "s1", "--from", "alice")
        cases = (
            (("pub", *here, "--scheme", 4, "--name", "alice", TOPIC, "x"), "pub and sub the same options"),
            (("pub", *here, "--scheme", 3, "--name", "nobody", TOPIC, "x"), "mqttsec identities"),
            (("pub", *here, "--scheme", 3, TOPIC, "x"), "say with --name"),
            (("pub", *alice, "--timeout", 0.2, TOPIC, "x"), "0 of 1 asked"),
            (("pub", *alice, "--broker", "other", TOPIC, "x"), "signature Sig_P:c1 failed"),
            (("pub", "--port", port, "--scheme", 3, "--name", "alice", TOPIC, "x"), "--identities DIR"),
            (("sub", *s1, TOPIC), "0x88 Server unavailable"),
            (("sub", *s1, "news"), "not protected here"),
        )
        for arguments, words in cases:
            done = run(*arguments)
            assert done.returncode == 2, (arguments, done)
            assert done.stderr.startswith("mqttsec: ") and done.stderr.count("\n") == 1, done.stderr
            assert words in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--protect", "a"), "go with --scheme"),
        (("--scheme", "3"), "--identities"),
        (("--scheme", "3", "--profile", "published", "--confirm"), "hardened profile"),
        (("--scheme", "3", "--protect", "a/#/b"), "not alone"),
    ],
)
def test_a_broker_with_impossible_options_is_refused(
    folder: Path, options: tuple[str, ...], words: str
) -> None:
    given = () if words == "--identities" or "go with" in words else ("--identities", str(folder))
    done = run("broker", "--port", 0, *given, *options)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done


def test_identities_are_made_once_and_belong_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    assert identities.main([str(folder), "alice", "--signing", "Ed25519", "--days", "2"]) == 0
    first = (folder / "alice.crt.pem").read_bytes()
    assert identities.main([str(folder), "alice", "bob"]) == 0
    assert (folder / "alice.crt.pem").read_bytes() == first
    assert "alice: is there already" in capsys.readouterr().out
    trust = read_trust(folder / "ca.crt.pem")
    authority = read_authority(folder / "ca.crt.pem", folder / "ca.key.pem")
    for name in ("alice", "bob"):
        identity = read_identity(folder / f"{name}.crt.pem", folder / f"{name}.key.pem")
        assert trust.check(identity.certificate, name, authority._clock()).name == name
    assert (folder / "alice.key.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("arguments", (["a/b"], ["alice", "--days", "0"]))
def test_impossible_identities_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: list[str]
) -> None:
    with pytest.raises(ConfigurationError):
        identities.main([str(tmp_path / "new"), *arguments])
    assert not (tmp_path / "new").exists()
