"""Policies as scripts: each rule once, by name, in the form that small kernels and nftables take."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bringup.base.errors import MissingProgramError, UsageError
from bringup.vlab.description import load_description
from bringup.vlab.lab import LabRequest
from bringup.vlab.policy import policy, routes
from bringup.vlab.programs import PACKAGES, require
from bringup.vlab.scripts import BACKENDS, Backend, node_script, tunnel_config

LAB = load_description()
VMS = [node for node in LAB.nodes() if node.role.startswith("vm")]
# Modules that the kernel of small guests leaves out.
ABSENT_THERE = ("-m limit", "-m multiport", "-m comment", "-t raw", "-m rpfilter", "-m state")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("node", VMS, ids=lambda node: node.name)
def test_every_rule_and_route_is_a_line_with_its_name(backend: Backend, node: object) -> None:
    script = node_script(LAB, node, backend)  # type: ignore[arg-type]
    named = [line.rpartition(" # ")[2] for line in script.splitlines() if " # " in line]
    assert {rule.name for rule in policy(LAB, node)} <= set(named)  # type: ignore[arg-type]
    assert {name for name, _ in routes(LAB, node)} <= set(named)  # type: ignore[arg-type]
    assert "policy" in named and "input-policy" in named


@pytest.mark.parametrize("backend", BACKENDS)
def test_scripts_are_shell_without_a_remark(backend: Backend, tmp_path: Path) -> None:
    files = []
    for node in LAB.nodes():
        path = tmp_path / f"{node.name}.sh"
        path.write_text(node_script(LAB, node, backend), encoding="utf-8")
        files.append(str(path))
    done = subprocess.run(["shellcheck", *files], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_the_iptables_form_needs_what_small_guest_kernels_have() -> None:
    for node in VMS:
        script = node_script(LAB, node, "iptables")
        assert not [word for word in ABSENT_THERE if word in script]
        assert set(re.findall(r"-t (\w+)", script)) <= {"filter", "nat", "mangle"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_black_translates_addresses(backend: Backend) -> None:
    word = "-t nat" if backend == "iptables" else "type nat"
    assert [node.name for node in VMS if word in node_script(LAB, node, backend)] == ["vm2-a", "vm2-b"]


def test_each_layer_ends_in_drop_and_black_sends_nothing_private() -> None:
    for node in VMS:
        assert "forward { type filter hook forward priority 0; policy drop; }" in node_script(
            LAB, node, "nftables"
        )
    forward = [rule for rule in policy(LAB, LAB.node("vm2-a")) if rule.chain == "forward"]
    assert (forward[0].verdict, forward[0].goes_out) == ("drop", "eth1")
    assert forward[0].destinations == LAB.tunnel.private


def test_the_way_into_the_tunnel_outlives_it_as_unreachable() -> None:
    for name in ("vm0-a", "vm1-a"):
        assert any("unreachable 10.0.2.0/24" in arguments for _, arguments in routes(LAB, LAB.node(name)))


def test_the_tunnel_takes_the_other_lan_and_nothing_else() -> None:
    config = tunnel_config(LAB, "b", "PRIVATE", "PEER")
    assert "AllowedIPs = 10.0.1.0/24\n" in config
    assert "Endpoint = 192.168.1.10:51820\n" in config
    assert "PersistentKeepalive = 25\n" in config


def test_a_persons_script_is_run_in_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "vm2-a.sh").write_text("echo mine\n", encoding="utf-8")
    request = LabRequest.of(rules=tmp_path)
    assert request.script(LAB.node("vm2-a")) == "echo mine\n"
    assert request.script(LAB.node("vm2-b")) == node_script(LAB, LAB.node("vm2-b"), "nftables")


def test_a_folder_without_a_script_of_any_node_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vm7.sh").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"has none of .*vm2-a\.sh"):
        LabRequest.of(rules=tmp_path)
    with pytest.raises(UsageError, match="is not a folder"):
        LabRequest.of(rules=tmp_path / "none")


def test_what_is_absent_is_named_with_the_command_that_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "no-such-program", "its-package")
    with pytest.raises(MissingProgramError) as told:
        require(("sh", "no-such-program"))
    assert told.value.message.startswith("no-such-program is not installed")
    assert told.value.hint == "apt install its-package"
