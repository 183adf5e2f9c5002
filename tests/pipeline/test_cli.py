"""The command line: exit statuses, what is said, and what a command does not have to import."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

import pytest
from typer.main import get_command

from benchmarks.ports import free_port
from pipeline import cli, output
from tests.pipeline.running import ROOT, Running, command, until

Typed = Callable[..., "Done"]
CHINESE = re.compile("[\u4e00-\u9fff]")
HEAVY = ("numpy", "sqlalchemy", "alembic", "fastapi", "uvicorn", "apprise", "babel")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """`tocsin WORDS` as it is typed, in this process: imports are paid for once."""

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["tocsin", *words])
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # `run` sets up its own
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["incidents", "list", "-h"]])
def test_what_needs_no_stage_imports_none(words: list[str]) -> None:
    script = (
        "import sys\nfrom pipeline.cli import app\n"
        f"try:\n    app({words!r})\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    said = cli.COMMANDS[name][1].rstrip(".")
    assert get_command(cli.app).commands[name].help.startswith(said)  # type: ignore[attr-defined]


def test_a_mistyped_command_is_guessed(typed: Typed) -> None:
    done = typed("incident")
    assert done.returncode == output.USAGE
    assert "Did you mean 'incidents'?" in done.stderr


def test_a_server_that_is_not_there_is_status_3(typed: Typed) -> None:
    done = typed("incidents", "list", "--url", "http://127.0.0.1:9")
    assert done.returncode == output.UNREACHABLE
    assert done.stderr.count("\n") == 1 and "nothing answers at http://127.0.0.1:9" in done.stderr


def test_five_mistakes_are_five_lines_and_status_2(typed: Typed) -> None:
    bad = ROOT / "tests" / "config" / "bad" / "five_mistakes"
    done = typed("run", "--config", str(bad))
    assert done.returncode == output.USAGE
    assert len(done.stderr.splitlines()) == 5
    assert done.stderr == typed("check", "--config", str(bad)).stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost", "must be HOST:PORT"),
        ("127.0.0.1:99999", "must be HOST:PORT"),
        ("0.0.0.0:0", "create one with `tocsin users add NAME --role admin`"),
        ("192.0.2.1:8420", "cannot listen on 192.0.2.1:8420"),
    ],
)
def test_an_address_that_cannot_be_had_is_status_2(
    tocsin: Running, typed: Typed, address: str, said: str
) -> None:
    done = typed(*_run(tocsin), "--listen", address)
    assert done.returncode == output.USAGE, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr


def _run(tocsin: Running) -> list[str]:
    return ["run", "--config", str(tocsin.folder / "config"), "--data", str(tocsin.data)]


def test_a_taken_port_and_a_taken_folder_are_status_2(tocsin: Running, typed: Typed) -> None:
    tocsin.start()
    taken = typed(*_run(tocsin), "--listen", f"127.0.0.1:{tocsin.port}")
    assert taken.returncode == output.USAGE
    assert "Address already in use; choose another with console.listen" in taken.stderr
    second = typed(*_run(tocsin), "--listen", f"127.0.0.1:{free_port()}")
    assert second.returncode == output.USAGE
    assert "another Tocsin works on this folder" in second.stderr
    assert tocsin.process is not None
    tocsin.process.send_signal(signal.SIGINT)  # Ctrl-C
    assert tocsin.wait() == output.OK and tocsin.said("stopped")


def test_a_token_opens_the_api_until_it_is_revoked(tocsin: Running, typed: Typed) -> None:
    at = ["--config", str(tocsin.folder / "config"), "--data", str(tocsin.data)]
    password = "correct horse battery"
    added = command("users", "add", "ann", "--role", "admin", *at, stdin=f"{password}\n" * 2)
    assert added.returncode == output.OK, added.stderr
    secret = typed("tokens", "add", "ci", "--role", "responder", *at).stdout.strip()
    (listed,) = json.loads(typed("tokens", "list", "--json", *at).stdout)
    assert secret and secret not in json.dumps(listed)
    tocsin.start()
    assert tocsin.push("Broken", service="s") == 401
    assert tocsin.ask("GET", "/api/v1/incidents").status_code == 401
    assert tocsin.ready()  # a load balancer has no token
    tocsin.session.headers["Authorization"] = f"Bearer {secret}"
    assert tocsin.push("Broken", service="s") == 200
    assert tocsin.ask("POST", "/-/reload").status_code == 403
    # While it runs: the folder is shared for this, and who is known is not remembered for long.
    assert typed("tokens", "revoke", listed["id"], *at).returncode == output.OK
    until(lambda: tocsin.push("Broken", service="s") == 401, "the end of the token")
    again = typed("tokens", "revoke", "0123", *at)
    assert again.returncode == output.USAGE and "tocsin tokens list" in again.stderr


def test_a_short_password_is_refused(tocsin: Running) -> None:
    at = ["--config", str(tocsin.folder / "config"), "--data", str(tocsin.data)]
    done = command("users", "add", "ann", *at, stdin="short\nshort\n")
    assert done.returncode == output.USAGE
    assert "characters" in done.stderr


def test_check_says_that_the_shipped_configuration_is_good(typed: Typed) -> None:
    done = typed("check", "--config", "config")
    assert done.returncode == output.OK and "config: good:" in done.stdout


def _texts(command: Any) -> Iterator[str]:
    """Every text that the help of a command, and of those below it, shows."""
    if command.help:
        yield from command.help.split("\n\n")
    yield from (one.help for one in command.params if getattr(one, "help", None))
    for below in getattr(command, "commands", {}).values():
        yield from _texts(below)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_is_in_the_language_of_the_command_line(
    name: str, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_LANGUAGE", "zh-CN")
    texts = list(_texts(get_command(cli.app).commands[name]))  # type: ignore[attr-defined]
    assert texts and [one for one in texts if not CHINESE.search(one)] == []
    said = typed(name, "--help").stdout
    assert "用法：tocsin" in said and "显示此帮助并退出。" in said
    assert all(_cells(line) <= 80 for line in said.splitlines() if "http" not in line), said


def _cells(line: str) -> int:
    return sum(1 + (east_asian_width(one) in "WF") for one in line)


def test_what_is_wrong_is_said_in_the_language_of_the_command_line(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_LANGUAGE", "zh_CN")
    done = typed("incident")
    assert done.returncode == output.USAGE
    assert "错误：没有命令 'incident'。是否指 'incidents'？" in done.stderr
    done = typed("incidents", "list", "--url", "http://127.0.0.1:9")
    assert done.returncode == output.UNREACHABLE and "没有应答" in done.stderr


@pytest.mark.parametrize("bad", sorted((ROOT / "tests" / "config" / "bad").iterdir()))
def test_every_problem_of_a_configuration_is_said_in_the_language(
    bad: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_LANGUAGE", "zh_CN")
    done = typed("check", "--config", str(bad))
    assert done.returncode == output.USAGE
    lines = done.stderr.splitlines()
    assert len(lines) == len((bad / "expected.txt").read_text().splitlines())
    assert [line for line in lines if not CHINESE.search(line)] == []
    assert [line for line in lines if re.search(r"\b(must|needs|unknown|got|no)\b", line)] == []
