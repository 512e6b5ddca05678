"""What holds for every command: help with examples that can be typed, JSON, names that complete."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from bringup.base.errors import UsageError
from bringup.base.paths import state_dir
from bringup.cli import root

pytestmark = pytest.mark.usefixtures("home", "in_folder")

LAB = """\
[boards.e300-1]
profile = "supermicro-e300-9d"
macs = ["ac:1f:6b:0e:30:17"]
bmc = { address = "10.0.0.17", user = "ADMIN", password = { env = "E300_PASSWORD" } }
[boards.virtual]
profile = "twin-e300-9d"
twin = true
"""
RUN = "2026-11-23-0007"
# It becomes another program, whose output is that program's own.
NO_JSON = {"bringup twin shell", "bringup vlab shell"}
# What a parameter of this name takes -> what was typed of it, and what is offered.
OFFERED = {
    "board": ("e3", {"e300-1"}),
    "bringup verify: target": ("e3", {"e300-1"}),
    "profile": ("supermicro-e300-9d-4", {"supermicro-e300-9d-4cn8tp"}),
    "profile_name": ("supermicro-e300-9d-4", {"supermicro-e300-9d-4cn8tp"}),
    "captures": ("e3", {"e300-1", "e3"}),  # boards, and whatever file begins so
    "a": ("e3", {"e300-1", "e3"}),
    "b": ("e3", {"e300-1", "e3"}),
    "run_id": ("2026-", {RUN}),
    "good": ("2026-", {RUN}),
    "bad": ("2026-", {RUN}),
    "bringup boards show: name": ("e3", {"e300-1"}),
    "name": ("v", {"virtual"}),
    "bringup vlab up: captures": ("e3", {"e3"}),
    "bringup twin up: disks": ("n", {"none", "nvme", "nvme4k"}),
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every group and command of the tree with what a person types for it."""

    def below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=path)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                yield from below(f"{path} {name}", child)

    return below("bringup", root)


TREE = dict(commands())
LEAVES = {path: command for path, command in TREE.items() if not isinstance(command, click.Group)}


def example_lines(command: click.Command, path: str) -> list[str]:
    text = command.get_help(click.Context(command, info_name=path))
    _, _, examples = text.partition("Example")
    return [line.strip() for line in examples.splitlines() if re.search(r"(^|\| )bringup ", line.strip())]


def parsed(words: list[str]) -> str:
    """Return which command these words run; its options and arguments were all understood."""
    command: click.Command = root
    path = "bringup"
    context = click.Context(command, info_name=path)
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(list(words))
        if not rest:
            break
        name, found, words = command.resolve_command(context, rest)
        assert found is not None
        command, path = found, f"{path} {name}"
        context = click.Context(command, info_name=name, parent=context)
    else:
        command.make_context(path, list(words))
    return path


def test_the_tree_is_whole() -> None:
    assert {"bringup boot", "bringup camkes check", "bringup runs show", "bringup twin monitor"} <= set(
        LEAVES
    )


@pytest.mark.parametrize("path", TREE)
def test_help_has_examples_that_can_be_typed(path: str) -> None:
    lines = example_lines(TREE[path], path)
    assert lines, f"{path} --help shows no example"
    for line in lines:
        # What goes into it, and where its output goes, is the shell's.
        words = shlex.split(re.split(r" > ", line.rpartition("| ")[2])[0])
        assert parsed(words[1:]).startswith(path), line


@pytest.mark.parametrize("path", [path for path in LEAVES if path not in NO_JSON])
def test_every_answer_comes_as_json_too(path: str) -> None:
    (option,) = [param for param in LEAVES[path].params if param.name == "as_json"]
    assert option.opts == ["--json"]


@pytest.mark.parametrize("path", LEAVES)
def test_names_complete(path: str, in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    (state_dir() / "runs" / RUN).mkdir(parents=True)
    command = LEAVES[path]
    for param in command.params:
        typed, offered = OFFERED.get(f"{path}: {param.name}", OFFERED.get(param.name or "", ("", None)))
        if offered is not None:
            found = param.shell_complete(click.Context(command, info_name=path), typed)
            assert {item.value for item in found} == offered, f"{path}: {param.name}"


@pytest.mark.parametrize("command", ["reimage", "slots", "rollback"])
def test_the_disks_of_a_board_complete(command: str, in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB.replace("twin = true", 'twin = true\ndisk = "S-OWN"'))
    seen = [
        {"serial": "S-1"},
        {"serial": "", "wwn": "", "path": "pci-0000:05:00.0-nvme-1"},
        {"serial": "S-OWN"},
    ]
    run = state_dir() / "runs" / RUN
    run.mkdir(parents=True)
    (run / "plan.json").write_text(json.dumps({"board": "virtual"}))
    with (run / "events.ndjson").open("w") as file:
        for disk in seen:
            event = {"v": 1, "t": 1.0, "source": "disk", "kind": "disk.found", "text": "", "data": disk}
            file.write(json.dumps(event) + "\n")
    shell = ShellComplete(root, {}, "bringup", "_BRINGUP_COMPLETE")

    def offered(board: str, typed: str) -> list[str]:
        return [item.value for item in shell.get_completions([command, board, "--disk"], typed)]

    assert offered("virtual", "") == ["S-OWN", "S-1", "pci-0000:05:00.0-nvme-1"]
    assert offered("virtual", "S-1") == ["S-1"]
    assert offered("e300-1", "") == offered("nowhere", "") == []


def test_of_an_unknown_command_the_nearest_is_told() -> None:
    with pytest.raises(click.UsageError, match=r"No such command 'reimge'; did you mean reimage\?"):
        root.main(["reimge", "e300"], standalone_mode=False)
    with pytest.raises(click.UsageError, match=r"No such command 'qqq'$"):
        root.main(["qqq"], standalone_mode=False)


def test_a_broken_lab_file_completes_to_nothing(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text("broken")
    for path in ("bringup boot", "bringup runs show", "bringup twin up"):
        command = LEAVES[path]
        param = next(param for param in command.params if param.name in OFFERED)
        assert param.shell_complete(click.Context(command, info_name=path), "e") == []


def test_names_complete_from_the_lab_file_that_was_named(in_folder: Path) -> None:
    (in_folder / "other.toml").write_text(LAB)
    shell = ShellComplete(root, {}, "bringup", "_BRINGUP_COMPLETE")
    offered = shell.get_completions(["--lab", "other.toml", "boot"], "e")
    assert [item.value for item in offered] == ["e300-1"]
    assert [item.value for item in shell.get_completions(["boot"], "e")] == ["e300"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("--lab other.toml boot ", ["e300-1"]),
        ("--lab = other.toml boot ", ["e300-1"]),  # --lab=other.toml, as bash breaks it
        ("--lab = other.toml runs follow ", [RUN]),
        ("boot --until = kernel-", ["kernel-image"]),
        ("boot --until =", ["power", "firmware"]),
        ("boot --fail-text a=b ", ["e300"]),
        ("boot --fail-text a = b ", ["e300"]),
        ("twin shelf 12 --fault shelf-1", ["shelf-10=", "shelf-11=", "shelf-12=", "shelf-13="]),
        ("twin shelf 12 --fault shelf-07 =", ["sol-drop", "sol-stolen"]),
        ("twin shelf 12 --fault shelf-01 = sol-drop --fault shelf-07 = bmc-s", ["bmc-silent", "bmc-slow"]),
    ],
)
def test_bash_completes_whatever_it_made_of_the_words(
    in_folder: Path, typed: str, offered: list[str]
) -> None:
    (in_folder / "other.toml").write_text('[lab]\nruns = "kept"\n' + LAB)
    (in_folder / "kept" / RUN).mkdir(parents=True)
    words = ["bringup", *typed.split(" ")]
    environment = {
        **os.environ,
        "_BRINGUP_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "bringup"], env=environment, capture_output=True, text=True, cwd=in_folder
    )
    values = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert values[: len(offered)] == offered, done.stderr


def test_whose_packets_is_asked_of_packets_only() -> None:
    with pytest.raises(UsageError, match="--mac is about the packets of --pcap"):
        root.main(["runs", "trace", "--mac", "ac:1f:6b:0e:30:17"], standalone_mode=False)


def test_no_vm_is_a_number_of_vms_for_a_boot_and_for_its_recording() -> None:
    for path in ("bringup boot", "bringup explain"):
        (option,) = [param for param in LEAVES[path].params if param.name == "vms"]
        assert option.type.convert("0", None, None) == 0
