"""A boot outlives whoever watches it: a closed pipe, a closed terminal, a detached one that others follow."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.twin.helpers import PATIENCE_S, Cli, assert_nothing_left, processes_of, wait_for

pytestmark = pytest.mark.slow


def started(cli: Cli, output: int, *words: str) -> subprocess.Popen[bytes]:
    """Start a command whose every stream is `output`; a terminal becomes that of its session."""
    command = [*(["setsid", "--ctty"] if os.isatty(output) else []), *cli.command, *words]
    return subprocess.Popen(
        command, stdin=output, stdout=output, stderr=output, cwd=cli.folder, env=cli.environment
    )


def verdict_of(cli: Cli) -> dict[str, Any]:
    verdict = cli("runs", "show", "--json").json["verdict"]
    assert isinstance(verdict, dict)
    return verdict


def test_a_reader_that_leaves_ends_neither_the_boot_nor_its_exit_code(cli: Cli) -> None:
    reader, writer = os.pipe()
    process = started(cli, writer, "boot", "e300")
    os.close(writer)
    assert os.read(reader, 1)
    os.close(reader)
    assert process.wait(timeout=PATIENCE_S) == 0
    assert verdict_of(cli)["verdict"] == "ok"
    assert_nothing_left(cli.home)


def test_a_terminal_that_is_closed_does_not_end_the_boot(cli: Cli) -> None:
    terminal, side = pty.openpty()
    process = started(cli, side, "boot", "e300")
    os.close(side)
    seen = b""
    while b"console" not in seen:
        seen += os.read(terminal, 4096)
    os.close(terminal)  # the kernel sends SIGHUP, and every later write to it fails
    assert process.wait(timeout=PATIENCE_S) == 0
    assert verdict_of(cli)["verdict"] == "ok"
    assert_nothing_left(cli.home)


def test_events_are_a_stream_whose_last_line_is_the_verdict(cli: Cli) -> None:
    outcome = cli("boot", "e300", "--events")
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0, outcome.err
    assert (events[0]["kind"], events[0]["t"]) == ("run.begin", 0.0)
    assert {"power.state", "console.stage", "dhcp.ack", "http.done"} <= {event["kind"] for event in events}
    assert [event["kind"] for event in events].count("run.verdict") == 1
    assert events[-1]["data"] == verdict_of(cli)
    again = cli("runs", "follow", events[0]["data"]["run"], "--events")
    kept = [json.loads(line) for line in again.out.splitlines()]
    assert (again.code, kept[0], kept[-1]) == (0, events[0], events[-1])
    refused = cli("boot", "nobody", "--events")
    (only,) = refused.out.splitlines()
    assert json.loads(only)["data"]["exit_code"] == refused.code == 2


def test_a_detached_boot_is_followed_and_holds_its_board(cli: Cli) -> None:
    begun = cli("boot", "e300", "--detach", "--json", "--as", "anna", "--until", "user-space").json
    assert Path(begun["folder"]).is_dir()
    assert "running" in cli("runs").out
    for words in (("boot", "e300", "--detach"), ("power", "e300", "off")):
        refused = cli(*words)
        assert refused.code == 10 and "held by anna" in refused.err
    ended = cli("runs", "follow")
    assert (ended.code, "user space" in ended.err) == (0, True)
    assert f"ok  e300 reached user-space in {verdict_of(cli)['at_s']:.1f} s" in ended.out
    assert_nothing_left(cli.home)


def test_a_detached_boot_ends_by_a_signal_to_its_process_and_its_follower_ends_with_it(cli: Cli) -> None:
    begun = cli("boot", "e300", "--detach", "--json", "--append", "play=hang:kernel").json
    follower = cli.popen("runs", "follow", begun["run"])
    assert wait_for(lambda: any("qemu-system" in line for line in processes_of(cli.home)))
    os.kill(begun["pid"], signal.SIGTERM)
    out, err = follower.communicate(timeout=PATIENCE_S)
    assert follower.returncode == 130, err
    assert "interrupted" in out
    assert_nothing_left(cli.home)
