"""The engine on a bench: every step entered and left, every fault a verdict, without any machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bringup.base.errors import (
    BringupError,
    ConsoleHeldError,
    LabError,
    OverrideError,
    OverrideRefusedError,
    UsageError,
)
from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.engine import Run
from bringup.boot.folders import RunFolder
from bringup.boot.job import Job
from bringup.boot.plan import PlannedStep
from bringup.boot.preflight import prepare
from bringup.boot.request import BootRequest
from bringup.boot.step import Step
from bringup.boot.stop import Stop, StopClock, StopSignals
from bringup.image.folder import find_image
from bringup.jobs.boot import boot_steps
from bringup.lab.holder import Holder
from bringup.lab.inventory import twin_board
from bringup.power.base import Logged, PowerState
from bringup.report.run import console_lines
from tests.doubles.equipment import Bench, Said, SaidElsewhere, Seen
from tests.unit.boot.jobs import LOADED, WHOLE, Told, execute, image, planned

pytestmark = pytest.mark.usefixtures("home")

KEPT = BootRequest(keep_twin=True)


@pytest.fixture
def boot(in_folder: Path, tmp_path: Path) -> Callable[..., Told]:
    def run(bench: Bench, request: BootRequest | None = None) -> Told:
        return execute(planned(in_folder, request).job, bench, tmp_path / "runs")

    return run


def test_what_the_plan_says_is_what_is_done(boot: Callable[..., Told], in_folder: Path) -> None:
    told = boot(Bench(WHOLE))
    assert (told.verdict["verdict"], told.verdict["stage"]) == ("ok", "user-space")
    assert told.begun == [step.title for step in planned(in_folder).plan.steps]
    assert [title for title, state in told.steps if state == "done"] == told.begun


def test_every_byte_and_every_event_is_kept(boot: Callable[..., Told]) -> None:
    told = boot(Bench(WHOLE))
    assert b"dropped to user space" in (told.folder / "console.log").read_bytes()
    recorded = [(event.kind, event.text) for event in RunFolder(told.folder).events()]
    assert recorded == [(event.kind, event.text) for event in told.events]
    for name in ("plan.json", "image.json", "profile.json", "verdict.json"):
        assert RunFolder(told.folder).read_json(name)


def test_the_board_is_switched_from_a_known_state(boot: Callable[..., Told]) -> None:
    off, on = Bench(WHOLE), Bench(WHOLE, on=True)
    boot(off)
    boot(on)
    switched = [call for call in off.calls if call in ("on", "off", "reset")]
    assert switched == ["on"]
    assert [call for call in on.calls if call in ("on", "off", "reset")] == ["off", "on"]


def test_what_was_begun_is_left_in_reverse_order(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE)
    boot(bench)
    ends = [c for c in bench.calls if c in ("stop serving", "close console", "override none", "part")]
    assert ends == ["override none", "stop serving", "close console", "part"]
    assert bench.calls[-1] == "close power"


def test_a_twin_that_is_kept_is_not_ended(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE, tied=False)
    told = boot(bench, KEPT)
    assert "part" in bench.calls  # the equipment keeps what it was told to keep
    assert not [title for title in told.begun if "end the twin" in title]


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("reach", []),
        ("open console", ["close console"]),
        ("serve", ["close console"]),
        ("override network", ["close console", "stop serving"]),
        ("on", ["close console", "stop serving", "override none"]),
    ],
)
def test_a_step_that_fails_is_the_verdict_and_all_before_it_are_left(
    boot: Callable[..., Told], call: str, left: list[str]
) -> None:
    bench = Bench(WHOLE, fails={call: LabError(f"{call} does not work", hint="mend it")})
    told = boot(bench)
    state = "; power on had been asked for, and the board's power was off when last seen"
    cause = f"{call} does not work" + (state if call == "on" else "")
    assert (told.verdict["verdict"], told.verdict["cause"]) == ("lab", cause)
    assert told.verdict["causes"] == [{"cause": "", "fix": "mend it"}]
    for each in left:
        assert each in bench.calls
    assert [state for _, state in told.steps].count("failed") == 1
    assert len(told.begun) == len([state for _, state in told.steps if state != "begin"])


UNREADABLE = {"override network": OverrideError("the BMC does not tell what it holds")}
REFUSED = {"override network": OverrideRefusedError("the boot override was refused")}


def overrides(bench: Bench) -> list[str]:
    return [call for call in bench.calls if call.startswith("override")]


@pytest.mark.parametrize(("fails", "cleared"), [(UNREADABLE, ["override none"]), (REFUSED, [])])
def test_an_override_that_is_not_certain_ends_a_boot_before_power_and_says_how_to_go_on(
    boot: Callable[..., Told], fails: dict[str, BaseException], cleared: list[str]
) -> None:
    bench = Bench(WHOLE, fails=fails)
    told = boot(bench)
    assert (told.verdict["verdict"], told.verdict["code"]) == ("lab", "override")
    fix = told.verdict["causes"][0]["fix"]
    assert "--override unverified" in fix and "--override none" in fix and "boot_override" in fix
    assert "on" not in bench.calls
    assert overrides(bench) == ["override network", *cleared]


def test_unverified_goes_on_says_so_and_clears_it_afterwards(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE, fails=UNREADABLE)
    told = boot(bench, BootRequest(override="unverified"))
    assert told.verdict["verdict"] == "ok"
    unsure = next(event for event in told.events if event.kind == "override.unsure")
    assert "going on, the board's first DHCP packet will tell" in unsure.text
    assert overrides(bench) == ["override network", "override none"]


def test_unverified_goes_on_after_a_refusal_too_and_has_nothing_to_clear(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE, fails=REFUSED)
    told = boot(bench, BootRequest(override="unverified"))
    assert told.verdict["verdict"] == "ok"
    assert any(event.kind == "override.absent" for event in told.events)
    assert overrides(bench) == ["override network"]


def test_one_that_is_read_back_without_certainty_is_cleared_without_being_read(
    boot: Callable[..., Told],
) -> None:
    bench = Bench(WHOLE, certain=False)
    assert boot(bench).verdict["verdict"] == "ok"
    assert overrides(bench) == ["override network", "override none"]
    assert "read override" not in bench.calls


def test_the_board_s_first_dhcp_packet_proves_one_that_was_not_certain(boot: Callable[..., Told]) -> None:
    silent = [Said(0.5, "SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n")]
    assert "override.proven" in boot(Bench(WHOLE, certain=False)).kinds("power")
    assert "override.proven" not in boot(Bench(WHOLE)).kinds("power")
    assert "override.proven" not in boot(Bench(silent, certain=False)).kinds("power")


@pytest.mark.parametrize("fails", [{}, UNREADABLE, REFUSED])
def test_none_sets_none_and_leaves_the_order_to_the_board(
    boot: Callable[..., Told], fails: dict[str, BaseException]
) -> None:
    bench = Bench(WHOLE, fails=fails)
    assert boot(bench, BootRequest(override="none")).verdict["verdict"] == "ok"
    assert overrides(bench) == []


SLOW: tuple[Said | Seen, ...] = (
    Said(0.5, "SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n"),
    *(replace(item, at_s=item.at_s + 26) for item in WHOLE[1:]),
)


@pytest.mark.parametrize(("silent", "again"), [((1.0, 16.0), 1), ((2.0, 18.0), 1), ((0.0, 0.0), 0)])
def test_a_bmc_that_restarts_before_the_firmware_asked_is_given_the_override_again(
    boot: Callable[..., Told], silent: tuple[float, float], again: int
) -> None:
    bench = Bench(SLOW, silent=silent)
    told = boot(bench)
    assert told.verdict["verdict"] == "ok", told.verdict["cause"]
    assert [kind for kind in told.kinds("power") if kind.startswith("bmc.")] == [
        "bmc.silent",
        "bmc.back",
    ] * again
    assert overrides(bench).count("override network") == 1 + again


def test_a_bmc_that_restarts_after_the_board_asked_is_not_given_it_again(boot: Callable[..., Told]) -> None:
    waits = Said(30.0, "Booting all finished, dropped to user space\r\n")
    bench = Bench([*LOADED, waits], silent=(3.0, 20.0))
    told = boot(bench)
    assert told.verdict["verdict"] == "ok", told.verdict["cause"]
    assert "bmc.back" in told.kinds("power")
    assert overrides(bench).count("override network") == 1


@pytest.mark.parametrize("call", ["reach", "open console", "serve", "override network", "on"])
def test_a_person_who_interrupts_a_step_learns_how_the_board_is_left(
    boot: Callable[..., Told], call: str
) -> None:
    bench = Bench(WHOLE, fails={call: KeyboardInterrupt()}, tied=False)
    told = boot(bench, KEPT)
    assert (told.verdict["verdict"], told.verdict["exit_code"]) == ("interrupted", 130)
    cause = told.verdict["cause"]
    if call == "on":
        assert "e300 is being switched (on), no boot override is set" in cause
        assert told.verdict["causes"] == [{"cause": "", "fix": "bringup power e300 status"}]
    elif call == "override network":
        # It was set when the person interrupted, and is cleared all the same.
        assert "its power was not touched, no boot override is set" in cause
        assert bench.override.device == "none"
    else:
        assert "its power was not touched, the boot override was not touched" in cause


def test_an_interrupt_while_watching_leaves_the_board_on(boot: Callable[..., Told]) -> None:
    bench = Bench(LOADED, tied=False)

    def stop() -> None:
        while bench.powered_s is None:
            time.sleep(0.005)
        time.sleep(0.1)
        import _thread

        _thread.interrupt_main()

    thread = threading.Thread(target=stop)
    thread.start()
    told = boot(bench, KEPT)
    thread.join()
    assert told.verdict["verdict"] == "interrupted"
    assert told.verdict["cause"].startswith("interrupted; e300 is on, no boot override is set")


def test_a_step_that_waits_by_itself_hears_that_its_batch_ends(in_folder: Path, tmp_path: Path) -> None:
    class Waits(Step):
        planned = PlannedStep("wait", "wait for something that does not come", 1.0, 60.0)

        def enter(self, run: Run) -> None:
            deadline_s = time.monotonic() + 20
            while time.monotonic() < deadline_s:
                run.go_on()
                stop.tell()
            raise AssertionError("it was not ended")

    bench, stop = Bench(LOADED), Stop()
    bench.signals = signals = StopSignals(stop)
    bench.clock = StopClock(signals)  # type: ignore[assignment]
    prepared = prepare(twin_board("e300"), find_image(image(in_folder)), BootRequest())
    told = execute(Job.of(prepared, (Waits(),)), bench, tmp_path / "runs")
    assert told.verdict["verdict"] == "interrupted"


def test_a_tied_twin_ends_with_an_interrupted_boot(boot: Callable[..., Told]) -> None:
    told = boot(Bench(WHOLE, fails={"on": KeyboardInterrupt()}))
    assert "the twin that this boot started is ended" in told.verdict["cause"]
    assert told.verdict["causes"] == []


def test_silence_is_judged_by_the_profiles_limits(boot: Callable[..., Told]) -> None:
    told = boot(Bench())
    assert (told.verdict["code"], told.verdict["missing"]) == ("no-sign-of-life", "firmware")
    waits = [event for event in told.events if event.kind == "run.waiting"]
    assert [event.data["stage"] for event in waits][:2] == ["power", "firmware"]
    assert waits[1].data["timeout_s"] == 20.0


def test_a_fatal_line_ends_the_wait_at_once(boot: Callable[..., Told]) -> None:
    told = boot(Bench([*LOADED, Said(2.2, "vt-x: feature locked\r\n")]))
    assert (told.verdict["verdict"], told.verdict["code"]) == ("profile", "vtx-locked")


@pytest.mark.parametrize("end", ["\r\n", ""])
def test_what_the_system_before_says_is_no_failure_of_this_boot(boot: Callable[..., Told], end: str) -> None:
    told = boot(
        Bench(
            WHOLE, on=True, before=f"Booting all finished, dropped to user space\r\nvt-x: feature locked{end}"
        )
    )
    assert (told.verdict["verdict"], told.verdict["stage"]) == ("ok", "user-space")
    assert told.kinds("console").count("console.failure") == 0
    assert b"feature locked" in (told.folder / "console.log").read_bytes()


@pytest.mark.parametrize(
    ("who", "hint"),
    [([], "the power supply"), ([Holder("maria", 4711, "power off", 0.0)], "ask maria: power off")],
)
def test_a_board_that_goes_off_is_not_a_slow_one(
    boot: Callable[..., Told], who: list[Holder], hint: str
) -> None:
    bench = Bench(LOADED)
    bench.passers_by.extend(who)

    def pull_the_plug() -> None:
        while bench.powered_s is None:
            time.sleep(0.005)
        time.sleep(0.05)
        bench.state = PowerState.OFF

    thread = threading.Thread(target=pull_the_plug)
    thread.start()
    told = boot(bench)
    thread.join()
    assert "went off while it was booting" in told.verdict["cause"]
    assert hint in str(told.verdict)


def test_a_file_that_changed_while_it_was_served_is_the_images_fault(boot: Callable[..., Told]) -> None:
    changed = Seen(1.5, "http.error", {"code": "file-changed"}, "kernel changed while it was served")
    told = boot(Bench([*LOADED[:4], changed]))
    assert (told.verdict["verdict"], told.verdict["cause"]) == ("image", "kernel changed while it was served")


def test_servers_that_end_are_told(boot: Callable[..., Told]) -> None:
    lost = Seen(1.3, "run.servers_lost", {"reason": "killed"}, "the servers ended by themselves")
    told = boot(Bench([*LOADED[:4], lost]))
    assert told.verdict["code"] == "servers-lost"


def test_a_gap_is_marked_in_the_log_and_does_not_end_the_boot(boot: Callable[..., Told]) -> None:
    told = boot(Bench([*WHOLE[:-1], Said(2.1, "GAP"), WHOLE[-1]]))
    assert told.verdict["verdict"] == "ok"
    assert b"2.0 s" in (told.folder / "console.log").read_bytes()


def test_an_image_that_talks_to_the_other_port_is_recorded_and_told(boot: Callable[..., Told]) -> None:
    said = "Boot config: console_port = 0x3f8\r\n"
    told = boot(Bench([*LOADED[:-1], SaidElsewhere(2.0, said)]))
    assert told.verdict["code"] == "other-port"
    assert "COM1" in told.verdict["cause"]
    assert (told.folder / "console1.log").read_bytes() == said.encode()
    assert said.encode() not in (told.folder / "console.log").read_bytes()
    assert "kernel" not in [stage["name"] for stage in told.verdict["stages"] if stage["at_s"] is not None]
    sighting = next(e for e in told.events if e.kind == "console.stage" and e.data.get("port"))
    assert (sighting.data["port"], sighting.text) == ("COM1", said.strip())
    assert list(console_lines(RunFolder(told.folder)))[-2:-1] == ["-- COM1 --"]


def test_the_other_port_is_no_part_of_a_boot_that_goes_well(boot: Callable[..., Told]) -> None:
    told = boot(Bench([*WHOLE, SaidElsewhere(2.1, "LOST")]))
    assert told.verdict["verdict"] == "ok"
    lost = next(event for event in told.events if event.kind == "second_port.lost")
    assert lost.data["port"] == "COM1"
    assert "console.lost" not in told.kinds("console")


def test_after_a_gap_enter_is_typed_and_what_answers_is_proof(boot: Callable[..., Told]) -> None:
    bench = Bench([*LOADED, Said(3.0, "GAP")])
    told = boot(bench)
    assert "typed b'\\r'" in bench.calls
    assert told.verdict["verdict"] == "undecided" and told.verdict["exit_code"] == 3
    assert b"-- SOL lost 2.0 s --" in (told.folder / "console.log").read_bytes()
    assert "SOL lost" not in told.verdict["seen"]  # which is no line of the board's
    bench = Bench([*LOADED, Said(3.0, "GAP")], answer="guest login: ")
    told = boot(bench)
    assert told.verdict["verdict"] == "ok", told.verdict
    assert told.kinds("console").count("console.prompted") == 1


def test_who_reads_the_console_elsewhere_makes_no_failed_boot(boot: Callable[..., Told]) -> None:
    bench = Bench(LOADED, fails={"open console": ConsoleHeldError("held by another session", hint="--steal")})
    told = boot(bench)
    assert (told.verdict["verdict"], told.verdict["exit_code"]) == ("undecided", 3)
    assert told.verdict["code"] == "console-held"
    assert told.verdict["causes"] == [{"cause": "held by another session", "fix": "--steal"}]
    assert "console.lost" not in told.kinds("console")
    assert "console.held" in told.kinds("console") and "console.attached" not in told.kinds("console")
    held = {"open console": ConsoleHeldError("held by another session")}
    bench = Bench(LOADED, fails=held, fails_once=held)
    told = boot(bench)
    assert "console.gap" in told.kinds("console")
    assert b"-- SOL lost" in (told.folder / "console.log").read_bytes()


def test_a_console_that_is_lost_for_good_is_told_and_the_servers_go_on(boot: Callable[..., Told]) -> None:
    told = boot(Bench([*LOADED[:-1], Said(1.9, "LOST")]))
    assert "console.lost" in told.kinds("console")
    assert told.verdict["code"] == "console-lost"


@pytest.mark.parametrize(
    ("text", "cause"),
    [("FAULT", "a fault of the tool"), ("CRASH", "reading the console failed: RuntimeError: a bug")],
)
def test_what_breaks_in_the_reading_thread_ends_the_boot(
    boot: Callable[..., Told], text: str, cause: str
) -> None:
    told = boot(Bench([*LOADED, Said(2.1, text)]))
    assert (told.verdict["verdict"], told.verdict["cause"]) == ("tool", cause)


def test_an_override_that_cannot_be_cleared_is_told_and_changes_no_verdict(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE, fails={"read override": LabError("the BMC is silent")})
    told = boot(bench)
    assert told.verdict["verdict"] == "ok"
    left = next(event for event in told.events if event.kind == "override.left")
    assert left.text == "could not clear the boot override: the BMC is silent"


def test_who_passes_over_the_lease_becomes_an_event_of_the_run(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE)
    bench.passers_by.append(Holder("maria", 4711, "power off", 0.0))
    told = boot(bench)
    (passed,) = [event for event in told.events if event.kind == "run.passed_over"]
    assert passed.text == "maria (process 4711) acts on this board all the same: power off"


@pytest.mark.parametrize("file", ["events.ndjson", "console.log", "console.idx", "console1.idx", "served"])
def test_a_full_disk_ends_the_boot_and_keeps_the_verdict_for_the_person(
    in_folder: Path, tmp_path: Path, file: str
) -> None:
    job = planned(in_folder).job
    folder = RunFolder.create(tmp_path / "runs")
    bench = Bench(WHOLE)
    run = job.start(bench, folder)
    (folder.path / file).symlink_to("/dev/full")
    with bench.signals:
        verdict = run.execute()
    assert (verdict.kind, verdict.exit_code) == ("lab", 10)
    what = "the console log" if file.startswith("console") else "into the run folder"
    assert f"cannot write {what}" in verdict.cause


def test_uefi_asks_for_an_efi_boot(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE, fails={"on": LabError("far enough")})
    told = boot(bench, BootRequest(firmware=Firmware.UEFI))
    assert "boot override: network, once, UEFI; read back" in told.begun
    read = next(event for event in told.events if event.kind == "override.read")
    assert read.text == "network once, UEFI on"


def test_a_driver_without_an_override_is_said_and_the_first_packet_is_awaited(
    in_folder: Path, tmp_path: Path
) -> None:
    prepared = prepare(twin_board("e300"), find_image(image(in_folder)), BootRequest())
    job = Job.of(prepared, boot_steps(prepared, prepared.spec, overridden=False))
    titles = [step.title for step in job.plan.steps]
    assert any(title.startswith("no boot override can be set") for title in titles)
    assert not any("clear a boot override" in title for title in titles)
    bench = Bench(WHOLE, has_override=False)
    told = execute(job, bench, tmp_path / "runs")
    assert told.begun == titles
    assert told.verdict["verdict"] == "ok"
    assert not [call for call in bench.calls if "override" in call]


def test_events_of_a_run_are_in_the_order_of_its_clock(boot: Callable[..., Told]) -> None:
    told = boot(Bench(WHOLE))
    own = [event.at_s for event in told.events if event.source == "run"]
    assert own == sorted(own)


def test_until_a_later_stage_waits_for_it(boot: Callable[..., Told]) -> None:
    told = boot(Bench(WHOLE), BootRequest(until=Stage.LOGIN))
    assert told.verdict["verdict"] != "ok"
    assert told.verdict["missing"] == "login"


def test_a_text_that_a_person_waits_for_decides(boot: Callable[..., Told]) -> None:
    script = [*WHOLE, Said(3.0, "iperf Done.\r\n"), Said(4.0, "Oops: 12\r\n")]
    done = boot(Bench(script), BootRequest(until_texts=("iperf Done",)))
    assert (done.verdict["verdict"], done.verdict["at_s"] is not None) == ("ok", True)
    failed = boot(
        Bench(script), BootRequest(until_texts=("iperf Done",), fail_texts=(r"Oops: \d+",), for_s=5.0)
    )
    assert (failed.verdict["verdict"], failed.verdict["code"]) == ("image", "fail-text")
    missing = boot(Bench(WHOLE), BootRequest(until_texts=("never said",)))
    assert missing.verdict["code"] == "text-missing"


def test_a_text_that_is_no_expression_is_refused_before_anything_is_done(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE)
    with pytest.raises(UsageError):
        boot(bench, BootRequest(until_texts=("(",)))
    assert bench.calls == []


def test_a_step_without_a_verdict_is_a_fault_of_the_tool(in_folder: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    job = planned(in_folder).job
    blind = replace(job, steps=job.steps[:-1])
    with pytest.raises(AssertionError, match="watches"):
        execute(blind, Bench(WHOLE), tmp_path / "runs")


def test_two_boards_boot_side_by_side(in_folder: Path, tmp_path: Path) -> None:
    ends: list[Any] = []

    def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        ends.append(execute(planned(folder).job, Bench(WHOLE), folder / "runs").verdict["verdict"])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == ["ok"] * 3


def test_faults_of_listeners_are_not_swallowed(in_folder: Path, tmp_path: Path) -> None:
    def broken(_event: Event) -> None:
        raise BringupError("the display broke")

    job = planned(in_folder).job
    bench = Bench(WHOLE)
    run = job.start(bench, RunFolder.create(tmp_path / "runs"), [broken])
    with bench.signals, pytest.raises(BringupError, match="the display broke"):
        run.execute()


STOPPED = (Logged("power", "power supply: failed"),)


def test_a_boot_that_fails_asks_the_bmc_s_log_and_one_that_succeeds_does_not(
    boot: Callable[..., Told],
) -> None:
    bench = Bench(LOADED, logged=STOPPED)
    told = boot(bench)
    assert (told.verdict["verdict"], told.verdict["code"]) == ("lab", "board-fault")
    assert told.verdict["causes"][0]["cause"] == "the BMC logged power supply: failed"
    assert bench.calls.index("mark log") < bench.calls.index("on") < bench.calls.index("read log")
    assert next(event for event in told.events if event.kind == "bmc.log").data["entries"] == [
        {"kind": "power", "text": "power supply: failed"}
    ]
    good = Bench(WHOLE, logged=STOPPED)
    assert boot(good).verdict["verdict"] == "ok"
    assert "read log" not in good.calls


def test_a_log_that_cannot_be_read_leaves_the_verdict_as_it_is(boot: Callable[..., Told]) -> None:
    told = boot(Bench(LOADED))
    assert told.verdict["code"] == "kernel-hangs"
    assert "bmc.log" not in told.kinds("power")


def test_a_board_that_is_cycled_has_its_log_marked_after_it_went_off(boot: Callable[..., Told]) -> None:
    bench = Bench(WHOLE, on=True)
    boot(bench)
    order = [call for call in bench.calls if call in ("off", "mark log", "on")]
    assert order == ["off", "mark log", "on"]
