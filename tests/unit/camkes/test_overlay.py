"""The generated file: its text against a golden one, and its values as cpp and the grammar read them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import ProfileError, UsageError
from bringup.camkes.app.load import load_application
from bringup.camkes.assign.model import Passthrough
from bringup.camkes.assign.request import parse_wanted
from bringup.camkes.assign.solve import assign
from bringup.camkes.claims.facts import MadeFrom, read_claims
from bringup.camkes.model import Application, Value
from bringup.camkes.vms.literals import same
from bringup.camkes.write.overlay import overlay_text, settings_to_add
from bringup.pci.assessment import PinGrade
from bringup.pci.model import Bar, Bdf, Function, Machine
from tests import places
from tests.unit.camkes.passthrough import SHA, application, assessed, function, plain, second_opinion

GOLDEN = places.GOLDEN / "camkes"
ORIGIN = MadeFrom("e300.tar", SHA, "e300", "supermicro-e300-9d")


def made(app: Application, *assignments: str, include: str = "zmq.camkes", **sizing: object) -> str:
    wanted = [parse_wanted(text) for text in assignments]
    passthrough = replace(assign(assessed(), wanted, app), **sizing)  # type: ignore[arg-type]
    return text_of(passthrough, app, assignments, include)


def text_of(passthrough: Passthrough, app: Application, assignments: tuple[str, ...], include: str) -> str:
    return overlay_text(include, passthrough, settings_to_add(passthrough, app), ORIGIN, assignments, "0.1.0")


def read_base() -> Application:
    return load_application(GOLDEN / "zmq.camkes", allow_missing=True)


def test_the_text_is_the_golden_one_and_says_the_same_every_time() -> None:
    app = read_base()
    text = made(app, "vm0=17:00.0", "vm2=17:00.1")
    assert text == (GOLDEN / "passthrough.camkes").read_text()
    assert text == made(app, "vm0=17:00.0", "vm2=17:00.1")
    assert text.replace("vm0=17:00.0  vm2=17:00.1", "x") == made(app, "vm2=17:00.1", "vm0=17:00.0").replace(
        "vm2=17:00.1  vm0=17:00.0", "x"
    )


def test_cpp_and_the_grammar_read_the_golden_file_as_it_was_meant() -> None:
    whole = load_application(GOLDEN / "passthrough.camkes", allow_missing=True)
    passthrough = assign(assessed(), [parse_wanted("vm0=17:00.0"), parse_wanted("vm2=17:00.1")], read_base())
    for planned in passthrough.settings():
        found = [s for s in whole.settings if s.key == (planned.instance, planned.attribute)]
        assert [same(s.value, planned.value) for s in found] == [True], planned
    assert whole.value("vm1", "guest_ram_mb") == 1024


def test_pools_and_ram_are_written_where_they_are_asked_for() -> None:
    sizing = {"vm0": (("guest_ram_mb", 1024), ("simple_untyped26_pool", 20), ("heap_size", 0x2000000))}
    text = made(application(), "vm0=17:00.0", sizing=sizing)
    assert "vm0.simple_untyped26_pool = 20;" in text
    assert "vm0.heap_size = 0x2000000;" in text


def test_what_the_application_sets_already_is_left_out() -> None:
    passthrough = assign(assessed(), [parse_wanted("vm0=17:00.0")], application())
    by_name: dict[str, Value] = {f"vm0.{p.attribute}": p.value for p in passthrough.settings()}
    for name in by_name:
        app = application(settings={name: by_name[name]})
        text = made(app, "vm0=17:00.0")
        assert f"{name} =" not in text and text.count("vm0.") == len(by_name) - 1 + text.count('"vm0.')
    everything = made(application(settings=by_name), "vm0=17:00.0")
    assert "vm0." not in everything.partition("assembly {")[2]


def test_another_order_and_other_names_of_ports_are_the_same() -> None:
    ports = ({"name": "net ports", "pci_device": 3, "end": 0x7080, "start": 0x7060},)
    assert "vm0.vm_ioports" not in made(application(settings={"vm0.vm_ioports": ports}), "vm0=17:00.0")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vm_ioports", ({"start": 0x7060, "end": 0x707F, "pci_device": 0, "name": "eth"},)),
        ("vm_irqs", ({"name": "eth_17_00_0_irq", "source": 11, "dest": 10},)),
        ("exclude_paddr", ((0, 1),)),
    ],
)
def test_a_wrong_setting_of_the_application_is_refused_with_its_place(name: str, value: Value) -> None:
    app = application(settings={f"vm0.{name}": value})
    if name == "exclude_paddr":
        assert "exclude_paddr" not in made(app, "vm0=17:00.0")  # nothing is wanted there
        return
    with pytest.raises(ProfileError, match=rf"zmq\.camkes:20:9 already sets vm0\.{name}.*C43"):
        made(app, "vm0=17:00.0")


@pytest.mark.parametrize("include", ['a"b.camkes', "a\\b.camkes", "a\nb.camkes"])
def test_a_path_that_no_include_can_have_is_refused(include: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in an #include"):
        made(application(), "vm0=17:00.0", include=include)


def test_hostile_names_stay_inside_their_comments(tmp_path: Path) -> None:
    (tmp_path / "zmq.camkes").write_bytes((GOLDEN / "zmq.camkes").read_bytes())
    app = load_application(tmp_path / "zmq.camkes", allow_missing=True)
    evil = "x*/\n#error gotcha\\"
    passthrough = assign(assessed(), [parse_wanted("vm0=17:00.0")], app)
    grant = passthrough.grants[0]
    named = replace(
        passthrough,
        grants=(replace(grant, function=replace(grant.function, device_name=evil)),),
        cautions=(evil,),
    )
    text = overlay_text(
        "zmq.camkes", named, settings_to_add(named, app), MadeFrom(evil, SHA, "e300", evil), [evil], "0"
    )
    (tmp_path / "evil.camkes").write_text(text)
    whole = load_application(tmp_path / "evil.camkes", allow_missing=True)
    assert whole.value("vm0", "iospace_domain") == 0x0F and whole.value("vm1", "guest_ram_mb") == 1024
    claims = read_claims(text.encode(), "evil.camkes")
    assert claims is not None and claims.profile == evil and claims.capture == evil


def test_gccs_preprocessor_says_nothing_about_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["cpp", "-P", "-Wall", str(GOLDEN / "passthrough.camkes")], capture_output=True, text=True, check=True
    )
    assert not done.stderr and "vm2.vm_irqs" in done.stdout and "bringup" not in done.stdout


@st.composite
def machines(draw: st.DrawFn) -> tuple[Machine, dict[str, tuple[int, PinGrade]], dict[str, str]]:
    """Draw devices with any BARs that a VM can have, a pin each, and who gets them."""
    functions: list[Function] = []
    pins: dict[str, tuple[int, PinGrade]] = {}
    owner: dict[str, str] = {}
    port, base = 0x1000, 0x80000000
    places = st.tuples(st.integers(1, 255), st.integers(0, 31), st.integers(0, 7))
    for number, (bus, device, fun) in enumerate(draw(st.lists(places, min_size=1, max_size=4, unique=True))):
        bars = []
        for index in draw(st.lists(st.integers(0, 5), max_size=4, unique=True)):
            if draw(st.booleans()):
                size = 1 << draw(st.integers(2, 8))
                bars.append(Bar(index, "io", port, size))
                port += 256
            else:
                size = 1 << draw(st.integers(4, 24))
                base = -(-base // max(size, 4096)) * max(size, 4096)
                bars.append(Bar(index, "mem", base, size))
                base += max(size, 4096)
        bdf = Bdf(0, bus, device, fun)
        functions.append(function(str(bdf), bars=tuple(sorted(bars, key=lambda bar: bar.index))))
        pins[str(bdf)] = (number, draw(st.sampled_from(["measured", "known", "inferred", "firmware"])))
        owner[str(bdf)] = f"vm{draw(st.integers(0, 2))}"
    return Machine(tuple(sorted(functions, key=lambda f: f.bdf))), pins, owner


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(machines())
def test_any_machine_comes_back_as_it_was_meant(
    tmp_path: Path, drawn: tuple[Machine, dict[str, tuple[int, PinGrade]], dict[str, str]]
) -> None:
    machine, pins, owner = drawn
    base = tmp_path / "zmq.camkes"
    base.write_bytes((GOLDEN / "zmq.camkes").read_bytes())
    app = load_application(base, allow_missing=True)
    assignments = tuple(f"{vm}={bdf}" for bdf, vm in owner.items())
    passthrough = assign(assessed(machine, pins), [parse_wanted(a) for a in assignments], app)
    text = text_of(passthrough, app, assignments, "zmq.camkes")
    overlay = tmp_path / "passthrough.camkes"
    overlay.write_text(text)
    whole = load_application(overlay, allow_missing=True)
    for planned in passthrough.settings():
        assert same(whole.value(planned.instance, planned.attribute) or (), planned.value), planned
    # Nothing else is new, and a grammar that is not ours says so too.
    assert len(whole.settings) == len(app.settings) + len(passthrough.settings())
    second = second_opinion(overlay)
    assert len(second) == len(whole.settings)
    for planned in passthrough.settings():
        assert second[planned.instance, planned.attribute] == plain(planned.value), planned
    again = assign(assessed(machine, pins), [parse_wanted(a) for a in assignments], app)
    assert text_of(again, app, assignments, "zmq.camkes") == text
