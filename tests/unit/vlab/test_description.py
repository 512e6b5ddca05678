"""The description of a lab: what it says, and mistakes told at their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import ProfileError, UsageError
from bringup.vlab.description import BUILTIN, load_description


def changed(folder: Path, old: str, new: str) -> Path:
    text = BUILTIN.read_text(encoding="utf-8")
    assert old in text
    path = folder / "lab.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_the_built_in_lab_is_two_sites_of_three_vms() -> None:
    lab = load_description()
    assert [node.name for node in lab.nodes() if node.site == "a"] == ["pc-a", "vm0-a", "vm1-a", "vm2-a"]
    assert {link.segment for node in lab.nodes() for link in node.links} == set(lab.segments)
    assert [link.segment for link in lab.node("vm1-b").links] == ["inner-b"]
    assert lab.peer("a") == lab.sites["b"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('pc = "10.0.1.10"', 'pc = "10.9.9.9"', "pc 10.9.9.9 is not in 10.0.1.0/24"),
        ('lan = "10.0.2.0/24"', 'lan = "10.0.0.0/8"', "overlap"),
        ('outer = "192.168.1.10"', 'outer = "192.168.7.10"', "outer 192.168.7.10 of site a"),
        ("[sites.b]", "[sites.c]", "exactly the sites a and b"),
        ("port = 51820", "port = 70000", "at most 65535"),
        ('router = "192.168.1.100"', 'router = "192.168.1"', "lab.toml:"),
        ("mtu = 1420", "mtuu = 1420", "mtuu"),
    ],
)
def test_a_mistake_is_told_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProfileError) as told:
        load_description(changed(tmp_path, old, new))
    assert said in told.value.message
    assert "lab.toml:" in told.value.message


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_description(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="no node vm9"):
        load_description().node("vm9")
