"""F13: what an application needs and has not, with all its headers and without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.finding import Finding
from bringup.camkes.app.load import load_application
from bringup.rules.check import check

HEADER = """
#define VM_INIT_DEF() control; uses PutChar putchar; attribute string kernel_cmdline; \\
    attribute string kernel_image; attribute string kernel_relocs; attribute string initrd_image; \\
    attribute int iospace_domain; attribute int guest_ram_mb; attribute int cnode_size_bits = 21;
#define VM_PER_VM_COMP_DEF(num) component Init##num vm##num;
#define VM_PER_VM_CONFIG_DEF(num) vm##num.simple = true;
"""
APPLICATION = """
#include <configurations/vm.h>
component Init0 { VM_INIT_DEF() }
component Init1 { VM_INIT_DEF() }
assembly {
    composition {
        VM_PER_VM_COMP_DEF(0)
        VM_PER_VM_COMP_DEF(1)
    }
    configuration {
        VM_PER_VM_CONFIG_DEF(0)
        VM_PER_VM_CONFIG_DEF(1)
        vm0.kernel_cmdline = "root=/dev/mem";
        vm0.kernel_image = "bzimage";
        vm0.kernel_relocs = "";
        vm0.initrd_image = "rootfs.cpio";
        vm0.guest_ram_mb = 128;
        vm0.simple_untyped23_pool = 20;
        vm1.kernel_cmdline = "root=/dev/mem";
        vm1.kernel_image = "bzimage";
        vm1.kernel_relocs = "";
        vm1.initrd_image = "rootfs.cpio";
        vm1.guest_ram_mb = 128;
        vm1.simple_untyped23_pool = 20;
    }
}
"""


def absent(folder: Path, text: str, *, header: bool) -> list[Finding]:
    (folder / "configurations").mkdir()
    (folder / "configurations" / "vm.h").write_text(HEADER)
    path = folder / "app.camkes"
    path.write_text(text)
    include = [folder] if header else []
    application = load_application(path, include=include, allow_missing=not header)
    return [finding for finding in check(application).findings if finding.rule == "F13"]


@pytest.mark.parametrize("header", [True, False])
def test_an_application_that_has_everything_lacks_nothing(tmp_path: Path, header: bool) -> None:
    assert absent(tmp_path, APPLICATION, header=header) == []


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("name", ["kernel_image", "guest_ram_mb", "kernel_relocs", "initrd_image"])
def test_an_attribute_without_default_and_value_is_missed(tmp_path: Path, name: str, header: bool) -> None:
    lines = [line for line in APPLICATION.splitlines() if f"vm1.{name}" not in line]
    (finding,) = absent(tmp_path, "\n".join(lines), header=header)
    assert (finding.code, finding.severity, finding.vm) == ("attribute-unset", "error", "vm1")
    assert f"vm1.{name} =" in finding.fix


def test_what_a_macro_may_set_is_not_missed(tmp_path: Path) -> None:
    text = APPLICATION.replace('vm1.kernel_image = "bzimage";', "PLATFORM_IMAGE(1)")
    assert absent(tmp_path, text, header=False) == []


@pytest.mark.parametrize("header", [True, False])
def test_a_type_that_nobody_declares_is_told(tmp_path: Path, header: bool) -> None:
    text = APPLICATION.replace("component Init1 { VM_INIT_DEF() }\n", "")
    (finding,) = absent(tmp_path, text, header=header)
    assert (finding.code, finding.severity, finding.vm) == ("component-undefined", "error", "vm1")
    assert finding.place is not None and finding.place.line == 7


def test_a_type_may_be_in_an_import_that_was_not_read(tmp_path: Path) -> None:
    text = "import <Other.camkes>;\n" + APPLICATION.replace(
        "VM_PER_VM_COMP_DEF(0)", "VM_PER_VM_COMP_DEF(0) component Other other;"
    )
    assert absent(tmp_path, text, header=False) == []


@pytest.mark.parametrize("text", ["", "component A { control; }", "configuration { vm0.a = 1; }"])
def test_without_an_assembly_there_is_nothing_to_check(tmp_path: Path, text: str) -> None:
    assert [finding.code for finding in absent(tmp_path, text, header=True)] == ["no-assembly"]


def test_vms_that_are_connected_to_nothing_are_told(tmp_path: Path) -> None:
    text = APPLICATION.replace("{ VM_INIT_DEF() }", "{ VM_INIT_DEF() VM_CONNECTION_COMPONENT_DEF(0, t) }")
    told = absent(tmp_path, text, header=False)
    assert [finding.code for finding in told] == ["connection-missing"] * 2
    assert "VM_CONNECTION_CONNECT_VMS" in told[0].message and "VM_CONNECTION_CONFIG" in told[1].message


@pytest.mark.parametrize(
    ("attribute", "told"), [("putchar_anything", "interface-attribute"), ("putchr_x", "unknown-attribute")]
)
def test_an_attribute_of_an_interface_at_most_warns(tmp_path: Path, attribute: str, told: str) -> None:
    (tmp_path / "configurations").mkdir()
    (tmp_path / "configurations" / "vm.h").write_text(HEADER)
    path = tmp_path / "app.camkes"
    path.write_text(
        APPLICATION.replace('vm0.kernel_relocs = "";', f'vm0.kernel_relocs = ""; vm0.{attribute} = 1;')
    )
    found = check(load_application(path, include=[tmp_path])).findings
    severity = {"interface-attribute": "warning", "unknown-attribute": "error"}[told]
    assert [(each.code, each.severity) for each in found if each.rule == "C42"] == [(told, severity)]


CONNECTED = """
component A { uses P a; emits E ready; maybe dataport D d; }
component B { provides P b; consumes E go; dataport D d; }
component Outer { provides P p; composition { component B inner; connection seL4RPC own(from inner.b, to p);
    export inner.b -> p; } }
assembly {
    composition {
        component A a; component B b; component Outer outer;
        connection seL4RPCCall c(from a.a, to b.b);
        connection seL4Notification n(from a.ready, to b.go);
        connection seL4SharedData s(from a.d, to b.d);
        connection seL4RPCCall o(from a.a, to outer.p);
    }
    configuration { }
}
"""


def test_what_is_connected_as_declared_is_not_told(tmp_path: Path) -> None:
    assert absent(tmp_path, CONNECTED, header=True) == []


@pytest.mark.parametrize(
    ("was", "now", "code", "words"),
    [
        ("to b.b)", "to b.bb)", "interface-undefined", "B has no interface bb; did you mean b?"),
        ("from a.ready", "from a.reday", "interface-undefined", "A has no interface reday"),
        ("to b.go)", "to bee.go)", "instance-undefined", "there is no instance bee"),
        (
            "from inner.b",
            "from inner.x",
            "interface-undefined",
            "the connection outer.own ends at outer.inner.x",
        ),
    ],
)
def test_an_end_that_nobody_declares_is_told(
    tmp_path: Path, was: str, now: str, code: str, words: str
) -> None:
    (finding,) = absent(tmp_path, CONNECTED.replace(was, now), header=True)
    assert (finding.code, finding.severity) == (code, "error")
    assert words in finding.message and finding.place is not None


def test_what_headers_that_were_not_read_may_declare_is_not_told(tmp_path: Path) -> None:
    text = APPLICATION.replace(
        "VM_PER_VM_COMP_DEF(0)", "VM_PER_VM_COMP_DEF(0) connection C c(from vm0.x, to o.y);"
    )
    assert absent(tmp_path, text, header=False) == []
