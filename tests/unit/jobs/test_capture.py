"""Two probes on one board: what is kept and told when one of them fails, or both, or a person stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bringup.base.errors import BringupError, ImageError, InterruptedRunError, LabError
from bringup.boot.engine import Run
from bringup.boot.job import Finished, Job
from bringup.boot.preflight import Prepared
from bringup.boot.step import Step
from bringup.boot.steps.console import ConsoleReader
from bringup.console.base import Console
from bringup.image.folder import find_image
from bringup.image.model import Image
from bringup.jobs.capture.job import CaptureRequest, OnBoard, PlannedCapture, plan_capture
from bringup.jobs.capture.probes import BOTH, PROBES, Probe, ProbeName
from bringup.lab import captures
from bringup.lab.find import load_lab
from bringup.netboot.spec import Segment, ServeSpec
from bringup.power.base import PowerState
from bringup.report.probe import failed_lines
from tests.doubles.equipment import Bench, Said, Script, Seen
from tests.unit.boot.jobs import LOADED, Told, execute, image

pytestmark = pytest.mark.usefixtures("home")

LOADED_STAGES = [{"name": "kernel-image", "at_s": 1.0, "evidence": "served"}]
OK = {"verdict": "ok", "code": "ok", "stages": LOADED_STAGES}
HUNG = {
    "verdict": "image",
    "code": "firmware-probe-exception",
    "cause": "the firmware probe crashed",
    "stages": LOADED_STAGES,
}
PART = {
    "verdict": "lab",
    "code": "report-incomplete",
    "cause": "the report did not come whole: frames 3",
    "stages": LOADED_STAGES,
}
NO_DHCP = {"verdict": "lab", "code": "no-dhcp", "cause": "no DHCP request", "stages": []}
NO_CAPTURE = {"verdict": "lab", "code": "no-capture", "cause": "no capture came", "stages": LOADED_STAGES}
STOPPED = {
    "verdict": "interrupted",
    "code": "interrupted-run",
    "cause": "interrupted",
    "stages": LOADED_STAGES,
}


@dataclass(frozen=True, slots=True)
class SmallProbe(Probe):
    """A probe whose image is a small kernel; `fault` is why there is none."""

    folder: Path = Path()
    fault: BringupError | None = None

    def image(self) -> Image:
        if self.fault is not None:
            raise self.fault
        return find_image(image(self.folder))

    def reader(self, console: Console, run: Run) -> ConsoleReader:
        return Silent()

    def spec(self, prepared: Prepared, folder: Path, segment: Segment) -> ServeSpec:
        return prepared.spec(folder, segment)


class Silent:
    def feed(self, data: bytes) -> None:
        pass


def small(name: ProbeName, folder: Path, fault: BringupError | None = None) -> SmallProbe:
    probe = PROBES[name]
    return SmallProbe(
        name,
        probe.title,
        probe.words,
        probe.errand,
        probe.view,
        probe.source,
        probe.part_counts,
        folder,
        fault,
    )


def plan(
    folder: Path, *probes: ProbeName, faults: Mapping[ProbeName, BringupError] | None = None, **asked: Any
) -> PlannedCapture:
    made = {name: small(name, folder, (faults or {}).get(name)) for name in BOTH}
    return plan_capture(load_lab(folder), "e300", CaptureRequest(probes=probes or BOTH, **asked), probes=made)


class Boots:
    """Boots that end as the test says; `booted` in their order."""

    def __init__(self, folder: Path, planned: PlannedCapture, **ends: Mapping[str, Any]) -> None:
        self.booted: list[str] = []
        self._names = {id(job): name for name, job in planned.jobs.items()}
        self._ends = ends
        self._folder = folder

    def __call__(self, job: Job) -> Finished:
        name = self._names[id(job)]
        self.booted.append(name)
        folder = self._folder / name
        folder.mkdir()
        (folder / "console.log").write_bytes(b"the console of " + name.encode())
        (folder / "capture.tar.gz").write_bytes(b"the bundle")
        verdict = {"run": f"run-{name}", "causes": [{"cause": "", "fix": "mend it"}], **self._ends[name]}
        return Finished(folder, verdict)


def probe(folder: Path, tmp_path: Path, *probes: ProbeName, **ends: Mapping[str, Any]) -> OnBoard:
    planned = plan(folder, *probes)
    return planned.keep(planned.boot_all(Boots(tmp_path, planned, **ends)))


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


def test_both_go_into_one_capture(in_folder: Path, tmp_path: Path) -> None:
    probed = probe(in_folder, tmp_path, firmware=OK, linux=OK)
    assert not probed.failed
    assert names(probed.path) == ["firmware-probe.log", "linux.tar.gz"]
    assert (probed.path / "firmware-probe.log").read_bytes() == b"the console of firmware"
    assert captures.latest_capture("e300") == probed.path


@pytest.mark.parametrize(("one", "kept"), [("firmware", ["firmware-probe.log"]), ("linux", None)])
def test_one_alone_is_asked_for(
    in_folder: Path, tmp_path: Path, one: ProbeName, kept: list[str] | None
) -> None:
    planned = plan(in_folder, one)
    assert list(planned.jobs) == [one]
    probed = probe(in_folder, tmp_path, one, firmware=OK, linux=OK)
    assert probed.path.is_file() if kept is None else names(probed.path) == kept


def test_a_firmware_probe_that_failed_leaves_the_other_view(in_folder: Path, tmp_path: Path) -> None:
    probed = probe(in_folder, tmp_path, firmware=HUNG, linux=OK)
    assert probed.path.name.endswith(".tar.gz")
    assert list(probed.failed) == ["firmware"]
    assert isinstance(probed.failed["firmware"], ImageError)
    assert probed.failed["firmware"].hint == "mend it; bringup runs show run-firmware"


def test_a_linux_that_failed_leaves_the_other_view(in_folder: Path, tmp_path: Path) -> None:
    probed = probe(in_folder, tmp_path, firmware=OK, linux=NO_CAPTURE)
    assert names(probed.path) == ["firmware-probe.log"]
    assert list(probed.failed) == ["linux"]


def test_part_of_a_report_is_kept_beside_a_whole_view_only(in_folder: Path, tmp_path: Path) -> None:
    probed = probe(in_folder, tmp_path, firmware=PART, linux=OK)
    assert names(probed.path) == ["firmware-probe.log", "linux.tar.gz"]
    assert list(probed.failed) == ["firmware"]


def test_part_of_a_report_alone_is_no_capture(in_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="did not come whole") as failure:
        probe(in_folder, tmp_path, "firmware", firmware=PART)
    assert "what came: bringup probe-pci --from" in str(failure.value.hint)
    assert captures.latest_capture("e300") is None


def test_both_failed(in_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError) as failure:
        probe(in_folder, tmp_path, firmware=HUNG, linux=NO_CAPTURE)
    assert failure.value.message == "no capture came; and before that: the firmware probe crashed"
    assert captures.latest_capture("e300") is None


@pytest.mark.parametrize(("end", "kind"), [(NO_DHCP, LabError), (STOPPED, InterruptedRunError)])
def test_a_network_that_loads_nothing_and_a_person_who_stops_get_no_second_boot(
    in_folder: Path, tmp_path: Path, end: Mapping[str, Any], kind: type[BringupError]
) -> None:
    planned = plan(in_folder)
    boots = Boots(tmp_path, planned, firmware=end, linux=OK)
    with pytest.raises(kind, match=end["cause"]):
        planned.keep(planned.boot_all(boots))
    assert boots.booted == ["firmware"]


def test_a_person_who_interrupts_the_second_gets_no_half_capture(in_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        probe(in_folder, tmp_path, firmware=OK, linux=STOPPED)
    assert captures.latest_capture("e300") is None


def test_an_image_that_is_not_there_fails_its_own_probe(in_folder: Path, tmp_path: Path) -> None:
    fault = LabError("no kernel for the probe", hint="apt install linux-image-amd64")
    planned = plan(in_folder, faults={"linux": fault})
    boots = Boots(tmp_path, planned, firmware=OK)
    probed = planned.keep(planned.boot_all(boots))
    assert boots.booted == ["firmware"]
    assert probed.failed == {"linux": fault}
    with pytest.raises(BringupError, match="no kernel for the probe"):
        plan(in_folder, "linux", faults={"linux": fault})


def test_a_board_that_stays_as_it_is_not_is_an_error_with_the_capture(
    in_folder: Path, tmp_path: Path
) -> None:
    planned = plan(in_folder)
    ends = planned.boot_all(Boots(tmp_path, planned, firmware=OK, linux=OK))
    planned.found.not_restored = "the BMC does not answer"
    with pytest.raises(LabError, match="could not be left as it was: the BMC does not answer") as failure:
        planned.keep(ends)
    assert str(captures.latest_capture("e300")) in str(failure.value.hint)


def test_what_failed_beside_what_was_seen_is_told_and_missing(in_folder: Path) -> None:
    listing = in_folder / "lspci.txt"
    listing.write_text("17:00.0 Ethernet controller [0200]: Intel Corporation I350 [8086:1521] (rev 01)\n")
    failed: dict[ProbeName, BringupError] = {
        "firmware": LabError("no frame of its report came", hint="look at it")
    }
    probed = OnBoard(listing, failed)
    assert ("the firmware probe", "no frame of its report came") in [
        (missing.what, missing.why) for missing in probed.machine().missing
    ]
    lines = list(failed_lines(probed))
    assert lines[0].endswith("the firmware probe failed: no frame of its report came")
    assert lines[1:] == ["do        look at it"]


# The engine with a capture's own steps: how the board is left.

CAPTURED: Script = (*LOADED, Seen(2.5, "console.upload", {"bytes": 9}, "the capture"))


def on_bench(
    folder: Path, tmp_path: Path, *benches: Bench, probes: tuple[ProbeName, ...] = BOTH, **asked: Any
) -> tuple[PlannedCapture, list[Told]]:
    """Boot each probe on a bench of its own, which is left as the one before left it."""
    planned = plan(folder, *probes, **asked)
    told = []
    for job, bench in zip(planned.jobs.values(), benches, strict=True):
        told.append(execute(job, bench, tmp_path / "runs"))
    return planned, told


@pytest.mark.parametrize("on", [False, True])
def test_the_board_is_left_as_it_was_found_once_by_the_last(
    in_folder: Path, tmp_path: Path, on: bool
) -> None:
    first, second = Bench(CAPTURED, on=on, tied=False), Bench(CAPTURED, on=True, tied=False)
    planned, told = on_bench(in_folder, tmp_path, first, second)
    assert [each.verdict["verdict"] for each in told] == ["ok", "ok"]
    assert first.calls[-1] == "close power"
    assert first.state is PowerState.ON  # the second takes it over
    assert [call for call in second.calls if call in ("on", "off", "reset")][-1] == ("reset" if on else "off")
    assert planned.found.running is on
    for each, job in zip(told, planned.jobs.values(), strict=True):
        assert each.begun == [step.title for step in job.plan.steps]


def test_a_network_that_could_not_even_load_the_first_leaves_the_board_to_nobody(
    in_folder: Path, tmp_path: Path
) -> None:
    bench = Bench([Said(0.5, "SeaBIOS (version 1.16.2)\r\n")], tied=False)
    planned = plan(in_folder)
    told = execute(planned.jobs["firmware"], bench, tmp_path / "runs")
    assert told.verdict["verdict"] == "lab"
    assert bench.state is PowerState.OFF
    assert bench.calls.count("part") == 1


def test_a_running_real_board_is_refused_before_anything_is_done(in_folder: Path, tmp_path: Path) -> None:
    lab = in_folder / "lab.toml"
    lab.write_text(
        '[boards.bench]\nprofile = "supermicro-e300-9d"\nmacs = ["52:54:00:0e:30:10"]\n'
        'bmc = { address = "127.0.0.1", user = "u", password = { env = "NOTHING" } }\n'
        'network = { interface = "enp3s0", mode = "own-segment", address = "10.0.0.1/24", '
        'board_address = "10.0.0.2" }\n'
    )
    made = {"linux": small("linux", in_folder)}
    for restart, verdict in ((False, "lab"), (True, "ok")):
        asked = CaptureRequest(probes=["linux"], restart=restart)
        planned = plan_capture(load_lab(lab), "bench", asked, probes=made)  # type: ignore[arg-type]
        bench = Bench(CAPTURED, on=True, tied=False)
        told = execute(planned.jobs["linux"], bench, tmp_path / "runs")
        assert told.verdict["verdict"] == verdict, told.verdict["cause"]
        switched = [call for call in bench.calls if call in ("on", "off", "reset")]
        assert switched == (["off", "on", "reset"] if restart else [])
        if not restart:
            assert "bench is on, and for a capture it has to be restarted" in told.verdict["cause"]
            assert "--restart" in told.verdict["causes"][0]["fix"]


def test_a_board_that_cannot_be_put_back_is_told(in_folder: Path, tmp_path: Path) -> None:
    bench = Bench(CAPTURED, tied=False, fails={"off": LabError("the BMC does not answer")})
    planned, (told,) = on_bench(in_folder, tmp_path, bench, probes=("linux",))
    assert told.verdict["verdict"] == "ok"
    why = "the BMC does not answer; power off had been asked for, and the board's power was on when last seen"
    assert planned.found.not_restored == why
    left = next(event for event in told.events if event.kind == "power.left")
    assert left.text == f"could not leave the board as it was found: {why}"


def test_a_board_that_died_meanwhile_is_switched_on_again(in_folder: Path, tmp_path: Path) -> None:
    bench = Bench(CAPTURED, on=True, tied=False)
    planned = plan(in_folder, "linux")
    job = planned.jobs["linux"]
    *before, watch = job.steps

    class Dies(Step):
        planned = watch.planned

        def enter(self, run: Run) -> None:
            watch.enter(run)
            bench.state = PowerState.OFF

    told = execute(replace(job, steps=(*before, Dies())), bench, tmp_path / "runs")
    assert told.verdict["verdict"] == "ok"
    assert [call for call in bench.calls if call in ("on", "off", "reset")] == ["off", "on", "on"]


def test_the_probes_of_this_tool_are_planned_whole(in_folder: Path) -> None:
    for name, probe_ in PROBES.items():
        try:
            made = probe_.image()
        except BringupError as error:
            pytest.skip(f"{error.message}: {error.hint}")
        assert made.kernel.size > 0
        planned = plan_capture(load_lab(in_folder), "e300", CaptureRequest(probes=[name]))
        titles = [step.title for step in planned.jobs[name].plan.steps]
        assert titles[1].startswith("see whether the board is on")
        assert any(title.startswith("leave the board as it was found") for title in titles)
