"""Macros of headers that were not read, wherever an application has them: the rest is read all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import UsageError
from bringup.camkes.app.load import load_application
from bringup.camkes.model import Application
from bringup.jobs.configure.migrate import plan_migration
from bringup.rules.check import check

OLD = 'vm0_config.irqs = [{"name":"n", "source":16, "dest":10}];'


def assembled(settings: str, composition: str = "") -> str:
    return f"assembly {{ composition {{ {composition} }} configuration {{ {settings} }} }}"


def component(parts: str) -> str:
    return f"component A {{ {parts} }} {assembled('vm9.z = 9;')}"


def composed(parts: str) -> str:
    return assembled("vm9.z = 9;", parts)


TEXTS = {
    "sizes of dataports": component("dataport Buf(SIZE) d; maybe dataport Buf(F(2) * 2 + 1) e;"),
    "defaults": component("attribute int x = DEF; attribute string s = STR(1); attribute int y[] = [A, B];"),
    "types and names": component("attribute T(3) x; attribute int N(x); uses P(1) x; provides P CAT(a, b);"),
    "locks": component("has mutex M(x); has binary_semaphore CAT(a,b);"),
    "connectors": f"connector C {{ from Procedure template T with N threads; to Event with F(1) threads; }} "
    f"{assembled('vm9.z = 9;')}",
    "connections": composed("connection K(x) c(from a.b, to c.d); connection K CAT(x)(from a.b, to c.d);"),
    "ends": composed("connection K x(from F(1), to G(2)); connection K y(ENDS); connection K z(E(1));"),
    "parts of ends": composed("connection K x(from CAT(vm,1).x, to a.CAT(b,1)); connection K y(from a);"),
    "instances": composed("component T(0) n(0); component T(1) vm1; group G(1) { M component A a; }"),
    "exports": component("composition { export a.b -> M; export M(1) -> c; }"),
    "component's name": f"component CAT(Init, 0) {{ control; }} {assembled('vm9.z = 9;')}",
    "values": assembled('vm0.a = M; vm0.b = (M) << 2; vm0.c = "x" M "y"; vm0.d = M ? 1 : N(2); vm9.z = 9;'),
    "lists": assembled('vm0.a = [M, {"k": M, K: 3}, L(1) L(2)]; vm0.b = {PAIRS}; vm9.z = 9;'),
    "queries": assembled('vm0.a = dtb({"path": M}); vm0.b = dtb(Q)["a"]; vm9.z = 9;'),
    "references": assembled("vm0.a <- vm1.M; vm0.b <- M(1); vm9.z = 9;"),
    "settings": assembled("CAT(vm,1).x = 3; vm0.CAT(a,b) = 4; VM.heap = 4; vm9.z = 9;"),
    "statements": f"M; N(1) {assembled('Q R(1); S(2) vm9.z = 9;', 'Z; W(1);')}",
    "a whole composition": "assembly { PARTS(1) configuration { vm9.z = 9; } }",
    "a value's own end": assembled("vm0.x = V vm9.z = 9;"),
}  # fmt: skip


def read(folder: Path, text: str) -> Application:
    path = folder / "app.camkes"
    path.write_text(f"#include <nowhere.h>\n{text}\n")
    return load_application(path, allow_missing=True)


@pytest.mark.parametrize("what", TEXTS)
def test_a_macro_may_stand_wherever_an_application_has_one(tmp_path: Path, what: str) -> None:
    application = read(tmp_path, TEXTS[what])
    assert application.value("vm9", "z") == 9
    assert not [f for f in check(application).findings if f.rule == "F13" and f.code != "attribute-unset"]


@pytest.mark.parametrize("what", TEXTS)
def test_migrate_reads_the_same(tmp_path: Path, what: str) -> None:
    path = tmp_path / "app.camkes"
    path.write_text(f"#include <nowhere.h>\n{TEXTS[what].replace('vm9.z = 9;', OLD)}\n")
    assert plan_migration(path).stale


@pytest.mark.parametrize(
    "text",
    [
        component("dataport Buf() d;"),
        composed("connection K c(from a.b to c.d) "),
        composed("connection K c(from a.b, to c.d)"),
        assembled("vm0.a = [1 2];"),
        assembled("vm0.a = 1 vm0.b = 2;"),
        "assembly { configuration { vm9.z = 9; } }",
    ],
)
def test_what_no_macro_explains_is_still_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        read(tmp_path, text)
