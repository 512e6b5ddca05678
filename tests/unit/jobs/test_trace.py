"""A boot on one clock, from what its run recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bringup.base.events import Event, Source
from bringup.boot.folders import EventLog, RunFolder
from bringup.jobs.trace import Tracer, ending_of, moments
from bringup.report.style import colourless
from bringup.report.trace import ending_lines, moment_line, trace_json

MAC = "52:54:00:0e:30:10"
PLAN = {
    "board": "e300",
    "firmware": "bios",
    "until": "user-space",
    "vms": None,
    "image": {"kind": "multiboot", "modules": [{"size": 1}]},
    "limits": [{"stage": "modules", "timeout_s": 30.0}],
}


def event(at_s: float, source: Source, kind: str, text: str = "", **data: Any) -> Event:
    return Event(source, kind, text, data, at_s)


BOOT = [
    event(0.0, "run", "run.begin", "run on e300"),
    event(1.0, "power", "power.action", "power on", action="on"),
    event(1.5, "power", "power.state", "off → on", state="on"),
    event(1.6, "run", "run.waiting", "waiting for dhcp"),
    event(4.0, "dhcp", "dhcp.discover", f"{MAC} asks as BIOS client", mac=MAC, arch=0),
    event(4.1, "dhcp", "dhcp.ack", f"{MAC} is given 10.55.0.30", mac=MAC, file="boot.ipxe"),
    event(2.0, "console", "console.stage", "SeaBIOS", stage="firmware", marker="SeaBIOS", line=1),
    event(2.1, "console", "console.stage", "iPXE", stage="firmware", marker="iPXE", line=2),
    event(4.2, "http", "http.start", "/boot.ipxe", path="/boot.ipxe", role="loader-script"),
    event(4.3, "http", "http.done", "/boot.ipxe 9 bytes", path="/boot.ipxe", role="loader-script"),
    event(5.0, "http", "http.done", "/kernel 20 KiB", path="/kernel", role="kernel"),
    event(5.1, "http", "http.progress", "/module", path="/module", role="module"),
]


def run_with(parent: Path, *more: Event, plan: dict[str, Any] | None = None) -> RunFolder:
    run = RunFolder.create(parent)
    run.write_json("plan.json", PLAN if plan is None else plan)
    log = EventLog(run, 0.0)
    for each in (*BOOT, *more):
        log(each)
    log.close()
    return run


def test_what_is_told_is_in_the_order_of_its_times_once_for_each_stage_and_file() -> None:
    told = list(moments(BOOT))
    assert [(each.at_s, each.track) for each in told] == [
        (0.0, "host"),
        (1.0, "BMC"),
        (1.5, "BMC"),
        (2.0, "console"),
        (4.0, "DHCP"),
        (4.1, "DHCP"),
        (4.3, "HTTP"),
        (5.0, "HTTP"),
    ]
    assert told[3].text == "firmware: SeaBIOS"


def test_every_failure_is_told_and_a_flood_is_bounded() -> None:
    tracer = Tracer()
    failure = event(1.0, "console", "console.failure", "vt-x: not supported", code="vtx")
    assert [tracer.moment(failure) is None for _ in range(3)] == [False] * 3
    assert sum(tracer.moment(failure) is not None for _ in range(5000)) < 2500
    stranger = event(1.0, "dhcp", "dhcp.ignored", "x asks")
    tracer = Tracer()
    assert [tracer.moment(stranger) is None for _ in range(2)] == [False, True]


def test_a_run_that_was_killed_is_judged_on_what_there_is(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    ending = ending_of(run, run.events())
    assert (ending.reached, ending.reached_s, ending.missing) == ("kernel-image", 5.0, "modules")
    assert not ending.goes_on and ending.causes
    lines = [colourless(line) for line in ending_lines(ending)]
    assert lines[0] == "reached   kernel-image at 5.000 s" and lines[1] == "missing   modules"
    assert any(line.startswith("left      1. ") for line in lines)


def test_a_run_that_was_killed_blames_nobody(tmp_path: Path) -> None:
    """A kill before the power was asked for says nothing about mains, BMC or cables."""
    run = RunFolder.create(tmp_path)
    log = EventLog(run, 0.0)
    log(BOOT[0])
    log.close()
    ending = ending_of(run, run.events())
    assert (ending.verdict, ending.missing, ending.causes) == ("undecided", "power", ())
    assert "killed" in str(ending.cause)
    run = run_with(tmp_path)
    assert ending_of(run, run.events()).verdict == "undecided"
    run = run_with(tmp_path, event(60.0, "console", "console.activity"))  # the modules had 30 s
    assert ending_of(run, run.events()).verdict != "undecided"


def test_a_run_that_goes_on_has_no_verdict_yet(tmp_path: Path) -> None:
    run = run_with(tmp_path)
    log = EventLog(run, 0.0)
    try:
        ending = ending_of(run, run.events())
    finally:
        log.close()
    assert ending.goes_on and ending.verdict == "goes on" and ending.cause is None
    assert "goes on" in next(ending_lines(ending))


def test_a_verdict_is_told_as_the_run_told_it(tmp_path: Path) -> None:
    verdict = {
        "verdict": "image",
        "cause": "the kernel needs VT-x",
        "stage": "kernel",
        "missing": "user-space",
        "stages": [{"name": "kernel", "at_s": 6.5, "evidence": "x"}],
        "causes": [{"cause": "off", "fix": "switch it on"}, "odd"],
    }
    run = run_with(tmp_path, event(9.0, "run", "run.verdict", "the kernel needs VT-x", **verdict))
    ending = ending_of(run, run.events())
    assert (ending.verdict, ending.reached, ending.reached_s) == ("image", "kernel", 6.5)
    assert ending.causes == (("off", "switch it on"),)
    assert trace_json("x", [], ending)["missing"] == "user-space"


def test_facts_strike_causes_out(tmp_path: Path) -> None:
    """A board that asked by TFTP passed the firewall: that cause is not left."""
    asked = event(4.4, "tftp", "tftp.start", "/core.0", path="/core.0", role="loader")
    with_request = ending_of(run := run_with(tmp_path, asked), run.events())
    assert all("firewall" not in cause for cause, _ in with_request.causes)


def test_a_line_is_one_line_and_harmless() -> None:
    (moment,) = moments([event(1.0, "console", "console.failure", "a\nb\x1b[2J" + "x" * 500)])
    line = colourless(moment_line(moment))
    assert line.startswith("   1.000 s  console  a b?[2J") and len(line) < 200


def test_events_without_what_they_have_to_tell_stop_nothing(tmp_path: Path) -> None:
    odd = [
        event(5.5, "console", "console.stage", "x"),
        event(5.6, "console", "console.stage", "x", stage="nowhere"),
        event(5.7, "console", "console.nic", "x"),
        event(5.8, "power", "bmc.log", "x", entries=[1]),
    ]
    run = run_with(tmp_path, *odd, plan={"limits": [{}], "image": 1})
    assert ending_of(run, run.events()).reached == "kernel-image"
