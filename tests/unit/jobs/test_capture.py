"""Two probes on one board: what is kept and told when one of them fails, or both, or a person stops."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bringup.base.errors import BringupError, ImageError, InterruptedRunError, LabError
from bringup.base.stage import Stage
from bringup.boot.plan import BootRequest
from bringup.boot.preflight import Prepared
from bringup.cli import root
from bringup.jobs import capture as probe_pci_board
from bringup.jobs.capture import OnBoard, Probe, capture_on_board
from bringup.lab import captures
from bringup.lab.inventory import load_lab

pytestmark = pytest.mark.usefixtures("home")

OK = {"verdict": "ok", "code": "ok"}
HUNG = {"verdict": "image", "code": "firmware-probe-exception", "cause": "the firmware probe crashed"}
PART = {"verdict": "lab", "code": "report-incomplete", "cause": "the report did not come whole: frames 3"}
NO_DHCP = {"verdict": "lab", "code": "no-dhcp", "cause": "no DHCP request"}
NO_CAPTURE = {"verdict": "lab", "code": "no-capture", "cause": "no capture came"}
STOPPED = {"verdict": "interrupted", "code": "interrupted-run", "cause": "interrupted"}


class FakeRun:
    """A run that ended; `loaded` whether its image was fetched."""

    def __init__(self, request: BootRequest, verdict: Mapping[str, Any], loaded: bool) -> None:
        self.found_running = True if request.found_running is None else request.found_running
        self.hands_on = request.another_follows and loaded
        self.not_restored: str | None = None


class Board:
    """Boots of fake probes: `ends` is how each of them ends, `requests` what each was asked for."""

    def __init__(self, folder: Path, ends: dict[Probe, Mapping[str, Any]]) -> None:
        self.requests: dict[Probe, BootRequest] = {}
        self.not_restored: str | None = None
        self._folder = folder
        self._ends = ends

    def boot(self, _lab: object, probe: Probe, prepared: Prepared, *, quiet: bool) -> Any:
        self.requests[probe] = prepared.request
        end = self._ends[probe]
        run = FakeRun(prepared.request, end, loaded=end not in (NO_DHCP, STOPPED))
        run.not_restored = None if run.hands_on else self.not_restored
        folder = self._folder / probe
        folder.mkdir()
        (folder / "console.log").write_bytes(b"the console of " + probe.encode())
        (folder / "capture.tar.gz").write_bytes(b"the bundle")
        verdict = {"run": f"run-{probe}", "causes": [{"cause": "", "fix": "mend it"}], **end}
        return probe_pci_board._Attempt(probe, folder, run, verdict)  # type: ignore[arg-type]


@pytest.fixture
def boots(tmp_path: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Board]:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"no kernel")
    monkeypatch.setattr(probe_pci_board, "_image", lambda probe: ([kernel], probe))
    monkeypatch.setattr("bringup.boot.preflight.prepare", prepared)

    def make(**ends: Mapping[str, Any]) -> Board:
        board = Board(tmp_path, ends)  # type: ignore[arg-type]
        monkeypatch.setattr(probe_pci_board, "_boot", board.boot)
        return board

    return make


def prepared(lab: Any, name: str, paths: object, request: BootRequest, *, append: str) -> Any:
    fields: dict[str, Any] = dict.fromkeys(("plan", "watch", "profile", "image", "segment", "serial"), None)
    return Prepared(board=lab.board(name), request=request, **fields)


def probe(in_folder: Path, *probes: Probe) -> Any:
    return capture_on_board(
        load_lab(in_folder),
        "e300",
        as_json=True,
        **({"probes": probes} if probes else {}),  # type: ignore[arg-type]
    )


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


def test_both_go_into_one_capture(boots: Callable[..., Board], in_folder: Path) -> None:
    board = boots(firmware=OK, linux=OK)
    probed = probe(in_folder)
    assert not probed.failed
    assert names(probed.path) == ["firmware-probe.log", "linux.tar.gz"]
    assert (probed.path / "firmware-probe.log").read_bytes() == b"the console of firmware"
    assert captures.latest("e300") == probed.path
    first, second = board.requests["firmware"], board.requests["linux"]
    assert (first.until, second.until) == (Stage.CAPTURE, Stage.CAPTURE)
    # The board is put back once, by the second, as the first one found it.
    assert (first.another_follows, first.found_running) == (True, None)
    assert (second.another_follows, second.found_running) == (False, True)


@pytest.mark.parametrize(("one", "kept"), [("firmware", ["firmware-probe.log"]), ("linux", None)])
def test_one_alone_is_asked_for(
    boots: Callable[..., Board], in_folder: Path, one: Probe, kept: list[str] | None
) -> None:
    board = boots(firmware=OK, linux=OK)
    probed = probe(in_folder, one)
    assert list(board.requests) == [one]
    assert not board.requests[one].another_follows
    assert probed.path.is_file() if kept is None else names(probed.path) == kept


def test_a_firmware_probe_that_failed_leaves_the_other_view(
    boots: Callable[..., Board], in_folder: Path
) -> None:
    boots(firmware=HUNG, linux=OK)
    probed = probe(in_folder)
    assert probed.path.name.endswith(".tar.gz")
    assert list(probed.failed) == ["firmware"]
    assert isinstance(probed.failed["firmware"], ImageError)
    assert probed.failed["firmware"].hint == "mend it; bringup runs show run-firmware"


def test_a_linux_that_failed_leaves_the_other_view(boots: Callable[..., Board], in_folder: Path) -> None:
    boots(firmware=OK, linux=NO_CAPTURE)
    probed = probe(in_folder)
    assert names(probed.path) == ["firmware-probe.log"]
    assert list(probed.failed) == ["linux"]


def test_part_of_a_report_is_kept_beside_a_whole_view_only(
    boots: Callable[..., Board], in_folder: Path
) -> None:
    boots(firmware=PART, linux=OK)
    probed = probe(in_folder)
    assert names(probed.path) == ["firmware-probe.log", "linux.tar.gz"]
    assert list(probed.failed) == ["firmware"]


def test_part_of_a_report_alone_is_no_capture(boots: Callable[..., Board], in_folder: Path) -> None:
    boots(firmware=PART)
    with pytest.raises(LabError, match="did not come whole") as failure:
        probe(in_folder, "firmware")
    assert "what came: bringup probe-pci --from" in str(failure.value.hint)
    assert captures.latest("e300") is None


def test_both_failed(boots: Callable[..., Board], in_folder: Path) -> None:
    boots(firmware=HUNG, linux=NO_CAPTURE)
    with pytest.raises(LabError) as failure:
        probe(in_folder)
    assert failure.value.message == "no capture came; and before that: the firmware probe crashed"
    assert captures.latest("e300") is None


def test_a_network_that_loads_nothing_is_not_tried_twice(
    boots: Callable[..., Board], in_folder: Path
) -> None:
    board = boots(firmware=NO_DHCP, linux=OK)
    with pytest.raises(LabError, match="no DHCP request"):
        probe(in_folder)
    assert list(board.requests) == ["firmware"]


def test_a_person_who_interrupts_gets_no_second_boot(boots: Callable[..., Board], in_folder: Path) -> None:
    board = boots(firmware=STOPPED, linux=OK)
    with pytest.raises(InterruptedRunError):
        probe(in_folder)
    assert list(board.requests) == ["firmware"]


def test_a_person_who_interrupts_the_second_gets_no_half_capture(
    boots: Callable[..., Board], in_folder: Path
) -> None:
    boots(firmware=OK, linux=STOPPED)
    with pytest.raises(InterruptedRunError):
        probe(in_folder)
    assert captures.latest("e300") is None


def test_an_image_that_is_not_there_fails_its_own_probe(
    boots: Callable[..., Board], in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def image(which: Probe) -> Any:
        if which == "linux":
            raise LabError("no kernel for the probe", hint="apt install linux-image-amd64")
        return [], ""

    monkeypatch.setattr(probe_pci_board, "_image", image)
    board = boots(firmware=OK, linux=OK)
    probed = probe(in_folder)
    assert list(board.requests) == ["firmware"]
    assert probed.failed["linux"].message == "no kernel for the probe"
    with pytest.raises(BringupError, match="no kernel for the probe"):
        probe(in_folder, "linux")


def test_a_board_that_stays_as_it_is_not_is_an_error_with_the_capture(
    boots: Callable[..., Board], in_folder: Path
) -> None:
    boots(firmware=OK, linux=OK).not_restored = "the BMC does not answer"
    with pytest.raises(LabError, match="could not be left as it was: the BMC does not answer") as failure:
        probe(in_folder)
    assert str(captures.latest("e300")) in str(failure.value.hint)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_tells_what_failed_beside_what_was_seen(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    listing = in_folder / "lspci.txt"
    listing.write_text("17:00.0 Ethernet controller [0200]: Intel Corporation I350 [8086:1521] (rev 01)\n")
    asked: list[Any] = []

    def probed(*_args: object, probes: object, **_options: object) -> OnBoard:
        asked.append(probes)
        return OnBoard(listing, {"firmware": LabError("no frame of its report came", hint="look at it")})

    monkeypatch.setattr(probe_pci_board, "capture_on_board", probed)
    words = ["probe-pci", "e300", *(["--json"] if as_json else [])]
    assert root.main(words, standalone_mode=False) == 0
    out, err = capsys.readouterr()
    assert asked == [probe_pci_board.BOTH]
    if as_json:
        assert err == ""
        assert {"what": "the firmware probe", "why": "no frame of its report came"} in json.loads(out)[
            "missing"
        ]
        return
    lines = err.splitlines()
    assert lines[0].endswith("the firmware probe failed: no frame of its report came")
    assert lines[1] == "do        look at it"
    assert "17:00.0" in out and "17:00.0" not in err
    root.main(["probe-pci", "e300", "--linux-probe"], standalone_mode=False)
    assert asked[-1] == ["linux"]
