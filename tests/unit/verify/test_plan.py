"""Plans as data: the ones that come along are whole, mistakes are told at their line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bringup.base.errors import ProfileError, UsageError
from bringup.verify.hardware.measure import PROBES as FACT_PROBES
from bringup.verify.params import TAKES, Params, Takes
from bringup.verify.plan import chosen, load_plan, plan_names
from bringup.verify.probes import PROBES, probe

# The checks of the first model that this project promises.
PROMISED = {
    "ptp-ab",
    "ptp-ba",
    "split",
    "no-clear",
    "red-closed",
    "kill-switch",
    "dns",
    "rekey-natural",
    "rekey-forced",
    "mtu",
    "pmtu-hole",
    "roam",
    "wrong-key",
    "replay",
    "loss",
    "clock",
    "route-rp",
    "ipv6",
}

ONE = """\
title = "mine"
targets = ["vlab"]
[[check]]
id = "first"
purpose = "p"
how = "h"
probe = "split"
"""

EVERY_PROBE = [*PROBES, *FACT_PROBES]


@pytest.mark.parametrize("name", plan_names())
def test_a_plan_that_comes_along_says_what_each_check_is_for(name: str) -> None:
    plan = load_plan(name, EVERY_PROBE)
    for check in plan.check:
        assert check.purpose.endswith(".") and check.how.endswith(".")
        assert check.not_here or check.probe


def test_model_1_has_every_check_that_is_promised() -> None:
    assert set(load_plan("model-1", PROBES).ids) >= PROMISED


def test_every_probe_is_there_and_used() -> None:
    used = {check.probe for name in plan_names() for check in load_plan(name, EVERY_PROBE).check}
    assert set(FACT_PROBES) <= used
    for name in PROBES:
        assert callable(probe(name))
        assert name in used


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('probe = "split"', 'probe = "splitt"', "plan.toml:4: there is no probe 'splitt'"),
        (
            'probe = "split"',
            'probe = "split"\nneeds = ["later"]',
            "first needs later, which is no check before",
        ),
        ('id = "first"', 'id = ""', "plan.toml:4"),
        ('how = "h"', 'how = "h"\nlimits = "x"', "limits"),
        ('how = "h"\n', "", "how"),
    ],
)
def test_a_mistake_is_told_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(ONE.replace(old, new), encoding="utf-8")
    with pytest.raises(ProfileError) as told:
        load_plan("plan.toml", PROBES)
    assert said in told.value.message


VMS = """\
title = "mine"
targets = ["BOARD"]
scene = "vms"
[[vm]]
number = 0
[[check]]
id = "first"
purpose = "p"
how = "h"
probe = "vm-ping"
params = { vm = 0, to = "10.0.1.10" }
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("vm = 0, ", "", "plan.toml:7: first has no `params.vm`, which vm-ping needs"),
        ("vm = 0, ", "vm = 3, ", "plan.toml:7: first asks VM 3, which the plan does not have"),
        ("vm = 0, ", 'vm = "x", ', "plan.toml:11"),
        ("vm = 0, ", "vm = 0, cuont = 3, ", "cuont"),
        ("vm = 0, ", "vm = 0, hold_s = 3.0, ", "plan.toml:11: vm-ping does not take `params.hold_s`"),
        ("10.0.1.10", "10.0.1.10; reboot", "plan.toml:11"),
        ("10.0.1.10", "-f", "plan.toml:11"),
        ("10.0.1.10", "10.0.1.10\\nreboot", "plan.toml:11"),
        ("number = 0", 'number = 0\nuser = "root\\nreboot"', "plan.toml:6"),
        ("number = 0", "number = 0\n[[vm]]\nnumber = 0", "plan.toml:7: VM 0 is there twice"),
    ],
)
def test_what_a_probe_cannot_be_told_is_refused_when_the_plan_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(VMS, encoding="utf-8")
    assert load_plan("plan.toml", PROBES).check[0].params["to"] == "10.0.1.10"
    (tmp_path / "plan.toml").write_text(VMS.replace(old, new), encoding="utf-8")
    with pytest.raises(ProfileError) as told:
        load_plan("plan.toml", PROBES)
    assert said in told.value.message


_READ = re.compile(r"""params(?:\.get\(|\[)["'](\w+)["']""")


def test_what_probes_read_is_what_they_may_be_told() -> None:
    read: dict[str, set[str]] = {}
    told: dict[str, set[str]] = {}
    for name in PROBES:
        module = probe(name).__module__
        source = Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8")
        read[module] = set(_READ.findall(source)) | ({"vm"} if "vm_of(" in source else set())
        told.setdefault(module, set()).update(TAKES.get(name, Takes()).all)
    assert read == told
    assert set().union(*told.values()) == set(Params.__annotations__)
    assert set(TAKES) <= set(PROBES)


def test_a_plan_of_ones_own_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(ONE, encoding="utf-8")
    assert load_plan(str(tmp_path / "mine.toml"), PROBES).name == "mine"
    with pytest.raises(UsageError, match="there is no plan model-9"):
        load_plan("model-9", PROBES)


def test_what_a_named_check_needs_is_made_too() -> None:
    plan = load_plan("model-1", PROBES)
    assert [check.id for check in chosen(plan, ["dns"])] == ["tunnel", "ptp-ab", "ptp-ba", "split", "dns"]
    assert chosen(plan, []) == plan.check
    with pytest.raises(UsageError, match="no check dnss"):
        chosen(plan, ["dnss"])
