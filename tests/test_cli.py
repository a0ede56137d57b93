"""The command line: its table, its errors in one line, its exit statuses."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from mqttsec import cli
from mqttsec.errors import ConfigurationError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mqttsec", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.words)
def test_each_command_of_the_table_explains_itself(
    command: cli.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(command.module).main
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert f"usage: mqttsec {command.words}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert command.words in shown and command.summary in shown


def test_no_command_is_an_error_of_use_with_the_help() -> None:
    done = run()
    assert done.returncode == 2
    assert "usage: mqttsec COMMAND" in done.stderr and done.stdout == ""


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, "mqttsec 0.1.0\n")


def test_unknown_command_is_one_line_with_the_nearest_name() -> None:
    done = run("brokr")
    assert done.returncode == 2
    assert done.stderr == (
        "mqttsec: there is no command 'brokr'; did you mean 'broker'? "
        f"Otherwise the commands are: {', '.join(command.words for command in cli.COMMANDS)}\n"
    )


@pytest.mark.parametrize(("option", "port"), [("--port", "99999"), ("--websocket-port", "-1")])
def test_a_broker_on_an_impossible_port_is_refused(option: str, port: str) -> None:
    # uvloop would listen on 34463 when it is told 99999.
    done = run("broker", "--port", "0", option, port)
    assert done.returncode == 2
    assert done.stderr.startswith(f"mqttsec: {option} {port} is no TCP port: choose 1 to 65535")
    assert done.stderr.count("\n") == 1


def test_first_word_of_two_says_which_second_words_there_are() -> None:
    done = run("bench")
    measured = [command.words for command in cli.COMMANDS if command.words.startswith("bench ")]
    assert len(measured) > 1 and done.returncode == 2
    assert done.stderr == f"mqttsec: say what to bench: {', '.join(measured)}\n"


class FakeModule:
    """Stands for the module of a command."""

    def __init__(self, outcome: BaseException | int) -> None:
        self.outcome = outcome
        self.arguments: list[str] | None = None

    def main(self, arguments: list[str]) -> int:
        self.arguments = arguments
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FakeModule:
    module = FakeModule(request.param)
    monkeypatch.setitem(sys.modules, "mqttsec_fake_command", module)  # type: ignore[arg-type]
    table = (cli.Command("bench one", "", "mqttsec_fake_command"), cli.Command("two", "", "no_such_module"))
    monkeypatch.setattr(cli, "COMMANDS", table)
    return module


@pytest.mark.parametrize("fake", [7], indirect=True)
def test_a_command_gets_its_arguments_and_its_result_is_the_status(fake: FakeModule) -> None:
    assert cli.main(["bench", "one", "--count", "3"]) == 7
    assert fake.arguments == ["--count", "3"]


@pytest.mark.parametrize("fake", [ConfigurationError("port 1883 in use;\n  choose another")], indirect=True)
def test_our_errors_are_one_line_and_status_two(
    fake: FakeModule, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "one"]) == 2
    assert capsys.readouterr().err == "mqttsec: port 1883 in use; choose another\n"


@pytest.mark.parametrize("fake", [KeyboardInterrupt()], indirect=True)
def test_control_c_ends_quietly(fake: FakeModule, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "one"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fake", [ZeroDivisionError("a defect of ours")], indirect=True)
def test_a_defect_of_ours_keeps_its_traceback(fake: FakeModule) -> None:
    with pytest.raises(ZeroDivisionError):
        cli.main(["bench", "one"])


def test_output_into_a_closed_pipe_is_no_error() -> None:
    # `read` takes one byte and goes away; the second print of --help then has no reader.
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -c 'from mqttsec import cli; import sys\n"
         "class M:\n"
         " def main(self, a):\n"
         "  for _ in range(100000): print(\"a line of output\")\n"
         "  return 0\n"
         "sys.modules[\"m\"] = M(); cli.COMMANDS = (cli.Command(\"x\", \"\", \"m\"),)\n"
         "sys.exit(cli.main([\"x\"]))' | head -c 1; exit ${PIPESTATUS[0]}"],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
