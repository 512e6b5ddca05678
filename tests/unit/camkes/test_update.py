"""Values put into a file by hand: what changes, what stays, what is refused; the result is proven."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import ProfileError
from bringup.camkes.app.load import load_application
from bringup.camkes.assign.model import Passthrough
from bringup.camkes.assign.request import parse_wanted
from bringup.camkes.assign.solve import assign
from bringup.camkes.model import Application
from bringup.camkes.text.syntax import read_text, replace
from bringup.camkes.write.update import prove, update_changes
from bringup.pci.assessment import Assessment, PinGrade
from bringup.pci.model import Machine
from tests import places
from tests.unit.camkes.passthrough import E300, assessed, i350, plain, second_opinion

GOLDEN = places.GOLDEN / "camkes"
BY_HAND = (GOLDEN / "by-hand.camkes").read_text()


def planned(
    path: Path, assignments: Sequence[str], assessment: Assessment
) -> tuple[Application, Passthrough]:
    app = load_application(path, allow_missing=True)
    return app, assign(assessment, [parse_wanted(a) for a in assignments], app)


def updated(
    tmp_path: Path, text: str, *assignments: str, assessment: Assessment | None = None, drop: bool = False
) -> str:
    """Return the text with the values for `assignments`, proven as the command proves it."""
    path = tmp_path / "app.camkes"
    path.write_bytes(text.encode())
    app, passthrough = planned(path, assignments, assessment or assessed())
    document = read_text(text, "app.camkes")
    new = replace(document, update_changes(document, app, passthrough, drop=drop))
    path.write_bytes(new.encode())
    after = load_application(path, allow_missing=True)
    prove(app, after, passthrough.settings())
    # cpp and a grammar that is not ours find the same values.
    theirs = second_opinion(path)
    assert {s.key: plain(s.value) for s in after.settings} == theirs
    return new


def changed_lines(old: str, new: str) -> tuple[list[str], list[str]]:
    diff = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[:2] in ("- ", "+ ")]
    return [line[2:] for line in diff if line[0] == "-"], [line[2:] for line in diff if line[0] == "+"]


def test_numbers_change_in_their_places_and_everything_else_stays(tmp_path: Path) -> None:
    new = updated(tmp_path, BY_HAND, "vm0=17:00.0")
    assert new == (GOLDEN / "by-hand-updated.camkes").read_text()
    gone, come = changed_lines(BY_HAND, new)
    assert len(gone) == len(come) == 5
    for comment in ("// one port", "/* registers */", "// <- why?", "/* copied from /sys", "// no newline"):
        assert new.count(comment) == 1
    # Guest IRQ, names and domain are the file's own choice, and may stay.
    assert '"dest":11}, // <- why?' in new and '"name":"eth ports"' in new and "iospace_domain = 0x22" in new


def test_what_is_current_does_not_change(tmp_path: Path) -> None:
    new = updated(tmp_path, BY_HAND, "vm0=17:00.0")
    assert updated(tmp_path, new, "vm0=17:00.0") == new


def test_settings_that_are_missing_go_where_the_vms_others_are(tmp_path: Path) -> None:
    text = (
        "assembly {\n    composition { component Init0 vm0; }\n    configuration {\n"
        "        vm0.guest_ram_mb = 1;\n    }\n}\n"
    )
    new = updated(tmp_path, text, "vm0=17:00.0")
    assert new.startswith(text[: text.index("    }\n}")])
    assert '        vm0.vm_ioports = [\n            {"start":0x7060, "end":0x7080' in new
    assert updated(tmp_path, new, "vm0=17:00.0") == new
    one_line = "assembly { composition { component Init0 vm0; } configuration { vm0.guest_ram_mb = 1; } }"
    new = updated(tmp_path, one_line, "vm0=17:00.0")
    assert "\n" not in one_line and new.count("vm0.pci_devices =") == 1


def test_line_ends_of_windows_stay(tmp_path: Path) -> None:
    new = updated(tmp_path, BY_HAND.replace("\n", "\r\n"), "vm0=17:00.0", "vm1=17:00.1")
    assert new.count("\n") == new.count("\r\n")


def test_a_second_device_is_added_to_the_lists(tmp_path: Path) -> None:
    new = updated(tmp_path, BY_HAND, "vm0=17:00.0", "vm0=17:00.1")
    app = load_application(tmp_path / "app.camkes", allow_missing=True)
    devices, irqs, ports = (app.value("vm0", name) for name in ("pci_devices", "vm_irqs", "vm_ioports"))
    assert isinstance(devices, tuple) and isinstance(irqs, tuple) and isinstance(ports, tuple)
    assert len(devices) == len(irqs) == len(ports) == 2
    assert "/* registers */" in new and "// <- why?" in new


def test_a_device_is_not_dropped_without_a_word(tmp_path: Path) -> None:
    two = updated(tmp_path, BY_HAND, "vm0=17:00.0", "vm0=17:00.1")
    with pytest.raises(ProfileError, match=r"vm0\.vm_ioports has 2 entries, and the assignments make 1"):
        updated(tmp_path, two, "vm0=17:00.0")
    one = updated(tmp_path, two, "vm0=17:00.0", drop=True)
    assert "0x7040" not in one
    for comment in ("// one port", "/* registers */", "// <- why?"):
        assert comment in one  # written anew, and the comments are kept all the same


def test_order_and_style_of_the_file_are_kept(tmp_path: Path) -> None:
    two = updated(tmp_path, BY_HAND, "vm0=17:00.0", "vm0=17:00.1")
    moved = Machine(
        (
            i350("17:00.0", 0xC5B00000, 0x9060, 0xC5E0C000),
            i350("17:00.1", 0xC5A00000, 0x9040, 0xC5E08000),
        )
    )
    pins: dict[str, tuple[int, PinGrade]] = {"17:00.0": (16, "known"), "17:00.1": (17, "known")}
    new = updated(tmp_path, two, "vm0=17:00.1", "vm0=17:00.0", assessment=assessed(moved, pins))
    gone, come = changed_lines(two, new)
    assert [line.replace("0x70", "0x90") for line in gone] == come and len(come) == 2


# What is refused.


def small(configuration: str) -> str:
    """Return an application of one VM whose configuration begins in line 4."""
    return f"assembly {{\ncomposition {{ component Init0 vm0; }}\nconfiguration {{\n{configuration}\n}} }}\n"


@pytest.mark.parametrize(
    ("configuration", "says"),
    [
        (
            "#if 1\nvm0.iospace_domain = 0;\n#endif",
            r"vm0\.iospace_domain under a preprocessor condition: line 5 under #if 1 in line 4",
        ),
        (
            "#ifdef A\n#else\nvm0.vm_irqs = [];\n#endif",
            r"condition: line 6 under #else \(of #ifdef A\) in line 5",
        ),
        ("vm0.vm_irqs = [\n#ifdef A\n{},\n#endif\n];", "condition: line 4 has one inside"),
        ("#define NO [{}]\nvm0.vm_irqs = NO;", r"app\.camkes:5:15: NO is a macro, and has to change"),
        ("vm0.vm_irqs <- vm0.other;", "is taken from another attribute"),
    ],
)
def test_conditions_and_macros_are_refused_with_their_lines(
    tmp_path: Path, configuration: str, says: str
) -> None:
    with pytest.raises(ProfileError, match=says):
        updated(tmp_path, small(configuration), "vm0=17:00.0")


def test_a_value_set_in_a_branch_not_taken_is_refused(tmp_path: Path) -> None:
    text = BY_HAND.replace("#ifdef WITH_VM1\n", "#ifdef WITH_VM1\n\t\tvm1.vm_irqs = [];\n")
    with pytest.raises(ProfileError, match=r"vm1\.vm_irqs under .* line 32 under #ifdef WITH_VM1 in line 31"):
        updated(tmp_path, text, "vm1=17:00.1")


def test_a_value_in_an_included_file_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "net.h").write_text("vm0.iospace_domain = 0;\n")
    text = BY_HAND.replace("vm0.iospace_domain = 0x22;", '\n#include "net.h"\n')
    with pytest.raises(ProfileError, match=r"vm0\.iospace_domain is set at .*net\.h:1"):
        updated(tmp_path, text, "vm0=17:00.0")


def test_a_value_set_twice_is_refused(tmp_path: Path) -> None:
    text = BY_HAND.replace("vm0.iospace_domain = 0x22;", "vm0.iospace_domain = 0; vm0.iospace_domain = 0;")
    with pytest.raises(ProfileError, match=r"vm0\.iospace_domain in lines 30 and 30, .*C43"):
        updated(tmp_path, text, "vm0=17:00.0")


def test_the_proof_sees_what_else_changed(tmp_path: Path) -> None:
    path = tmp_path / "app.camkes"
    path.write_text(BY_HAND)
    app, passthrough = planned(path, ["vm0=17:00.0"], assessed())
    good = updated(tmp_path, BY_HAND, "vm0=17:00.0")
    for old, new, says in (
        ("vm1.guest_ram_mb = 256", "vm1.guest_ram_mb = 257", "also change vm1.guest_ram_mb"),
        ('"source":0x10', '"source":17', "would not make vm0.vm_irqs"),
        ("component Init1 vm1", "component Init1 vm2", "also change which components"),
    ):
        assert old in good
        path.write_text(good.replace(old, new))
        with pytest.raises(ProfileError, match=says):
            prove(app, load_application(path, allow_missing=True), passthrough.settings())


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_updated_is_current_whatever_the_machine(tmp_path: Path, data: st.DataObject) -> None:
    bdfs = [f.bdf.short for f in E300.functions[:3]]
    owners = data.draw(st.lists(st.sampled_from(["vm0", "vm1"]), min_size=1, max_size=3))
    base = data.draw(st.integers(0x800, 0xC00)) << 20
    machine = Machine(
        tuple(
            i350(bdf, base + number * 0x100000, 0x5000 + number * 32, base + 0x800000 + number * 0x4000)
            for number, bdf in enumerate(bdfs)
        )
    )
    pins: dict[str, tuple[int, PinGrade]] = {bdf: (16 + n, "known") for n, bdf in enumerate(bdfs)}
    assignments = [f"{vm}={bdf}" for vm, bdf in zip(owners, bdfs, strict=False)]
    known = assessed(machine, pins)
    once = updated(tmp_path, BY_HAND, *assignments, assessment=known)
    assert updated(tmp_path, once, *assignments, assessment=known) == once
    # And what was there before stands there still, word for word.
    for line in BY_HAND.splitlines():
        if line.lstrip().startswith(("component", "import", "/*", "#", "vm1")):
            assert line.rstrip(" }") in once
