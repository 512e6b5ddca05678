"""What an image demands against what machines offer: the words, and who is believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bringup.base.finding import Finding, Gap
from bringup.camkes.app.build import Build, read_build
from bringup.image.needs import FEATURES, KernelNeeds, kernel_needs
from bringup.profile.load import load_profile, profile_names
from bringup.profile.model import Profile
from bringup.rules.check import check
from bringup.rules.needs import (
    Needs,
    Offer,
    enough_processors,
    iommu_on,
    not_simulated,
    offer_of,
    processor_has,
)
from bringup.twin.engines import ENGINES
from tests.unit.rules.world import world

PRINTING = b"dropped to user space\0"


def build(**options: str) -> Build:
    return Build(Path("build"), options)


def kernel(*titles: str, printing: bool = True) -> KernelNeeds:
    texts = [feature.text for feature in FEATURES if feature.title in titles]
    return kernel_needs(b"\0".join([*texts, PRINTING if printing else b""]), 64)


def twin() -> Offer:
    return offer_of(load_profile("twin-e300-9d"))


def told(needs: Needs, offer: Offer) -> list[Finding | Gap]:
    return list(processor_has(needs, offer))


def messages(needs: Needs, offer: Offer) -> list[str]:
    return [f"{f.message}: {f.fix}" for f in told(needs, offer) if isinstance(f, Finding)]


def test_a_default_64_bit_kernel_is_refused_on_qemu_with_the_way_out() -> None:
    needs = Needs(kernel("PCID", "INVPCID", "FSGSBASE", "1 GiB pages", "XSAVE", "XSAVEOPT"))
    assert messages(needs, twin()) == [
        "the twin's QEMU has no PCID and no INVPCID, and this kernel does not run without: build with "
        "-DKernelSupportPCID=OFF, or --engine bochs, or boot it on a real board"
    ]
    (finding,) = told(needs, twin())
    assert isinstance(finding, Finding)
    assert finding.severity == "error"
    assert 'the kernel refuses with "PCIDs not supported by"' in finding.evidence


def test_vms_need_vt_x_also_where_a_release_kernel_does_not_say_so() -> None:
    needs = Needs(kernel(printing=False), vms=3)
    assert messages(needs, twin()) == [
        "the twin's QEMU has no VT-x, and an image with VMs does not run without: --engine bochs, or boot it "
        "on a real board"
    ]


def test_a_kernel_with_vt_x_and_no_vms_can_be_built_without() -> None:
    (message,) = messages(Needs(kernel("VT-x")), twin())
    assert "build with -DKernelVTX=OFF" in message


def test_an_engine_that_has_it_all_is_named() -> None:
    offer = Offer(
        "a twin", frozenset(), virtual=True, engines={"bochs": frozenset({"pcid", "invpcid", "vmx"})}
    )
    (message,) = messages(Needs(kernel("PCID")), offer)
    assert "or --engine bochs, or boot it on a real board" in message
    (message,) = messages(Needs(kernel("XSAVES")), offer)
    assert "--engine" not in message


@pytest.mark.parametrize("name", [n for n in profile_names() if n.startswith("supermicro")])
def test_a_real_board_has_all_of_it(name: str) -> None:
    everything = Needs(kernel(*(feature.title for feature in FEATURES)), vms=3)
    assert told(everything, offer_of(load_profile(name))) == []


def test_a_board_nobody_looked_at_is_not_judged() -> None:
    everything = Needs(kernel(*(feature.title for feature in FEATURES)))
    assert told(everything, offer_of(load_profile("generic-ipmi-x86"))) == []


def lacking(grade: str) -> Profile:
    body = load_profile("supermicro-e300-9d").to_dict()
    body["processor"]["features"].update(value=["lm"], grade=grade)
    return Profile.model_validate_json(json.dumps(body))


@pytest.mark.parametrize(("grade", "severity"), [("HIGH", "error"), ("MED", "warning"), ("INF", "warning")])
def test_what_was_not_read_on_this_model_only_warns(grade: str, severity: str) -> None:
    (finding,) = told(Needs(kernel("XSAVE")), offer_of(lacking(grade)))
    assert isinstance(finding, Finding)
    assert finding.severity == severity
    assert finding.fix == "build with -DKernelFPU=FXSAVE, or boot it on another board"


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        ({"KernelSupportPCID": "ON"}, "PCID and no INVPCID"),
        ({"KernelSupportPCID": "1"}, "PCID and no INVPCID"),
        ({"KernelSupportPCID": "OFF"}, None),
        ({"KernelSupportPCID": "ON", "KernelSel4Arch": "ia32"}, None),
        ({"KernelVTX": "ON"}, "VT-x"),
        ({"KernelLAPICMode": "X2APIC"}, "x2APIC"),
        ({"KernelLAPICMode": "XAPIC"}, None),
        ({"KernelXSave": "XSAVES"}, "XSAVES"),
        ({"KernelXSave": "XSAVES", "KernelFPU": "FXSAVE"}, None),
        ({"KernelX86IBRSMode": "ibrs_stibp"}, "IBRS"),
        ({"KernelX86IBRSMode": "ibrs_none"}, None),
        ({"KernelX86IBPBOnContextSwitch": "TRUE"}, "IBPB"),
        ({"KernelFSGSBase": "inst", "KernelHugePage": "ON"}, None),  # the twin has these
    ],
)
def test_options_decide_where_no_kernel_is_known(options: dict[str, str], titles: str | None) -> None:
    found = messages(Needs(build=build(**options)), twin())
    assert len(found) == (titles is not None)
    assert all(f"has no {titles}, and" in message for message in found)


def test_the_kernel_is_believed_before_the_cache_of_a_build_that_changed_since() -> None:
    stale = build(KernelSupportPCID="OFF", KernelVTX="ON")
    assert len(messages(Needs(kernel("PCID"), stale), twin())) == 1
    # What a RELEASE kernel does not tell, the cache does.
    assert "VT-x" in "".join(messages(Needs(kernel(printing=False), stale), twin()))


def test_what_neither_tells_is_a_gap_where_the_machine_lacks_it() -> None:
    (gap,) = told(Needs(kernel(printing=False)), twin())
    assert isinstance(gap, Gap)
    assert "whether the kernel demands XSAVEC, XSAVES, IBRS, IBPB, x2APIC, VT-x" in gap.what
    assert told(Needs(kernel(printing=False)), offer_of(load_profile("supermicro-e300-9d"))) == []


def test_processors_simulation_and_iommu() -> None:
    board = offer_of(load_profile("supermicro-e300-9d"))
    for nodes, offer, count in (("4", twin(), 1), ("1", twin(), 0), ("8", board, 0), ("9", board, 1)):
        assert len(list(enough_processors(Needs(build=build(KernelMaxNumNodes=nodes)), offer))) == count
    simulated = Needs(build=build(SIMULATION="ON"))
    assert len(list(not_simulated(simulated, board))) == 1
    assert list(not_simulated(simulated, twin())) == []
    off = build(KernelIOMMU="OFF")
    for needs, words, count in (
        (Needs(build=off, vms=2), "", 1),
        (Needs(build=off), "", 0),
        (Needs(vms=2), "disable_iommu", 1),
        (Needs(vms=2), "x_disable_iommu", 0),
    ):
        assert len(list(iommu_on(needs, words))) == count


def test_every_engine_with_a_processor_tells_of_every_feature() -> None:
    for engine in ENGINES.values():
        told = engine.features | engine.missing
        if engine.processor:
            assert {feature.flag for feature in FEATURES} <= told
        else:
            assert (engine.name, told) == ("scripted", frozenset())


# A check of a configuration asks the same.


def test_a_check_asks_the_built_kernel_too(tmp_path: Path) -> None:
    (tmp_path / "CMakeCache.txt").write_text("RELEASE:BOOL=OFF\nKernelSupportPCID:BOOL=OFF\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "kernel-x86_64-pc99").write_bytes(b"PCIDs not supported by the processor\r\n")
    read = read_build(tmp_path)
    assert read.kernel is not None
    w = world()
    w.profile = load_profile("twin-e300-9d")
    w.options, w.kernel = dict(read.options), read.kernel
    found = [f.message for f in w.report().findings if f.rule == "F9"]
    assert any("has no PCID, and this kernel does not run without" in message for message in found)
    assert any("has no VT-x, and an image with VMs" in message for message in found)
    assert "C46" in {f.rule for f in w.report().findings}  # the kernel prints nothing, whatever RELEASE says


def test_without_a_profile_or_a_build_a_check_says_what_it_needs() -> None:
    w = world()
    w.built = False
    assert ("F9", "--build-dir") in {(gap.rule, gap.needs) for gap in w.report().gaps}
    w.profile = None
    assert ("F9", "--build-dir and --profile") in {(gap.rule, gap.needs) for gap in w.report().gaps}


def test_a_twin_that_only_lent_its_capture_warns() -> None:
    w = world()
    w.profile = load_profile("twin-e300-9d")
    severities = []
    for practice in (False, True):
        report = check(w.application(), build=w.build(), profile=w.profile, practice=practice)
        (found,) = (finding for finding in report.findings if finding.rule == "F9")
        assert found.message.startswith("the twin's QEMU has no VT-x, and an image with VMs")
        assert found.fix == "--engine bochs, or boot it on a real board"
        severities.append(found.severity)
    assert severities == ["error", "warning"]
