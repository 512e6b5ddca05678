"""Whole re-images on doubles: a board that boots what is served, and whose disk is a file."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bringup.base.errors import ImageError, LabError
from bringup.base.events import Event
from bringup.boot.folders import RunFolder
from bringup.boot.job import Finished, Job
from bringup.boot.signals import Signals
from bringup.disk.contents import contents_of, judge
from bringup.disk.fat.volume import FatVolume
from bringup.disk.slots import DiskSlots, read_slots
from bringup.disk.state import State
from bringup.image.folder import find_image
from bringup.jobs.reimage.job import PlannedReimage, Reimaged, plan_reimage
from bringup.jobs.reimage.request import ReimageRequest
from bringup.jobs.reimage.slots import PlannedSlots, plan_slots
from bringup.lab import captures
from bringup.lab.find import load_lab
from bringup.netboot.spec import ServeSpec
from bringup.pci.capture.open import open_capture
from bringup.report.reimage import reimaged_lines, slots_lines
from bringup.report.run import run_report
from bringup.report.runs import run_json, run_row
from tests.doubles.equipment import Bench, Said, Script
from tests.doubles.front_door import FrontDoor
from tests.doubles.ramdisk import FakeRamdisk
from tests.unit.boot.jobs import LOADED, Told, execute, image

pytestmark = pytest.mark.usefixtures("home")

SLOT = 64 << 20
DISK = 256 << 20
USER_SPACE = "Boot config: console_port = 0x2f8\r\nBooting all finished, dropped to user space\r\n"


def from_disk(slot: str, *, tried: str = "", text: str = USER_SPACE) -> Script:
    """What a board says that boots a slot."""
    asks = f"bringup: slot B ({tried}) was tried, press y to keep it\r\n" if tried else ""
    whole = f"bringup: slot {slot} is whole\r\nbringup: starting kernel\r\n"
    return (Said(1.0, f"bringup: GRUB started from disk\r\n{asks}"), Said(1.5, whole), Said(2.0, text))


@dataclass
class Board:
    """A board on the bench: each run of it has equipment of its own, its disk stays.

    `boots` are the scripts of the runs that boot from disk, in their order. `meanwhile` is what its disks are
    once a person was asked.
    """

    folder: Path
    boots: list[Script] = field(default_factory=list)
    loading: Script = LOADED
    listing: str = ""
    fail: Callable[[list[str]], str | None] = lambda _words: None
    on: bool = False
    answers: Sequence[str] = ()
    asked: list[str] = field(default_factory=list)
    meanwhile: str | None = None
    told: list[Told] = field(default_factory=list)
    benches: list[Bench] = field(default_factory=list)
    ramdisks: list[FakeRamdisk] = field(default_factory=list)
    doors: list[FrontDoor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.disk = self.folder / "sda"
        self.disk.touch()
        os.truncate(self.disk, DISK)
        self.listing = self.listing or listing("sda", "S1")

    # A person at the terminal.

    def hear(self, event: Event) -> None:
        pass

    def ask(self, question: str, *, or_console: bool = False) -> None:
        raise AssertionError(question)

    def choose(self, question: str, answers: Sequence[str]) -> str:
        self.asked.append(question)
        if self.meanwhile is not None:
            self.ramdisks[-1].listing = self.meanwhile
        if not self.answers:
            raise LabError("nobody is there")
        return self.answers[len(self.asked) - 1]

    def __call__(self, job: Job) -> Finished:
        writes = any(step.name == "orders" for step in job.plan.steps)
        bench = Bench(self.loading if writes else self.boots.pop(0), tied=False, on=self.on)
        bench.person = self
        if self.loading is LOADED:
            bench.on_serve = lambda spec: self._booted(bench, spec)
        self.benches.append(bench)
        told = execute(job, bench, self.folder / "runs")
        for each in (*self.ramdisks, *self.doors):
            each.close()
        self.doors.clear()
        self.told.append(told)
        return Finished(told.folder, told.verdict)

    def _booted(self, bench: Bench, spec: ServeSpec) -> None:
        (script,) = (file.path for file in spec.files if file.role == "loader-script")
        words = re.search(r"bringup\.url=(http://\S+)(/\w+)", script.read_text())
        assert words is not None
        assert spec.visits is not None
        # One port for all: a firewall of this host lets the ramdisk through where it let its kernel through.
        assert (words[1], words[2]) == (spec.segment.base_url, spec.visits.url_path)
        self.doors.append(FrontDoor(spec.visits))
        url = self.doors[-1].base_url + words[2]
        disks = {"sda": self.disk, "sdb": self.disk}

        def come_up() -> None:
            deadline_s = time.monotonic() + 20
            while time.monotonic() < deadline_s:
                with suppress(TypeError):  # it is off still
                    if bench.clock.now_s() - bench.powered_s > 2.5:  # type: ignore[operator]
                        break
                time.sleep(0.01)
            self.ramdisks.append(FakeRamdisk(url, disks, self.listing, self.fail))

        threading.Thread(target=come_up, daemon=True).start()

    @property
    def obeyed(self) -> list[str]:
        """The verbs that its ramdisk was ordered."""
        return [order.split()[0] for ramdisk in self.ramdisks for order in ramdisk.obeyed]

    def kinds(self) -> list[str]:
        return [kind for told in self.told for kind in told.kinds("disk")]

    def contents(self) -> str:
        with self.disk.open("rb") as file:
            return str(judge(file.read(1 << 20), b"", 512, DISK))


def listing(name: str, serial: str, size: int = DISK, more: str = "") -> str:
    lines = {"size": str(size // 512), "device/serial": serial}
    return "".join(f"{name} {key} {value.encode().hex()}\n" for key, value in lines.items()) + more


def plan(folder: Path, **asked: object) -> PlannedReimage:
    request = ReimageRequest(**{"yes": True, "slot_bytes": SLOT, **asked})  # type: ignore[arg-type]
    paths = image(folder)
    return plan_reimage(load_lab(folder), "e300", paths, request, ramdisk=lambda: find_image(paths))


def look(folder: Path, *, back: bool = False, confirm: str | None = None) -> PlannedSlots:
    paths = image(folder)
    lab = load_lab(folder)
    return plan_slots(lab, "e300", back=back, confirm=confirm, ramdisk=lambda: find_image(paths))


def reimage(board: Board, folder: Path, **asked: object) -> Reimaged:
    return plan(folder, **asked).run_in(board, board)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def plan_changed(folder: Path, **asked: object) -> PlannedReimage:
    request = ReimageRequest(**{"yes": True, "slot_bytes": SLOT, **asked})  # type: ignore[arg-type]
    paths = image(folder)
    paths[1].write_bytes(b"another module")
    return plan_reimage(load_lab(folder), "e300", paths, request, ramdisk=lambda: find_image(paths))


def test_a_blank_disk_is_installed_and_boots(in_folder: Path, board: Board) -> None:
    board.boots = [from_disk("A")]
    done = reimage(board, in_folder)
    assert done.ok
    assert done.exit_code == 0
    assert (done.outcome.action, done.outcome.slot, done.outcome.kept) == ("install", "A", True)
    assert board.contents() == "bringup's layout"
    assert board.obeyed[0] == "disks"
    assert board.benches[1].calls.count("override disk") == 1
    assert done.to_dict()["disk"]["serial"] == "S1"


def installed(board: Board, folder: Path) -> Reimaged:
    board.boots = [from_disk("A")]
    done = reimage(board, folder)
    assert done.ok
    return done


def test_an_update_goes_to_the_other_slot_and_is_kept_by_the_key(in_folder: Path, board: Board) -> None:
    first = installed(board, in_folder)
    planned = plan_changed(in_folder)
    new_id = planned.image.image.key[:8]
    board.boots = [from_disk("B"), from_disk("B", tried=new_id)]
    done = planned.run_in(board, board)
    assert done.ok, done.last.verdict
    assert (done.outcome.action, done.outcome.slot, done.outcome.kept) == ("update", "B", True)
    assert done.outcome.before_id == first.outcome.image_id
    assert "typed b'y'" in board.benches[-1].calls
    assert board.kinds().count("disk.next") == 3, "each start from the disk says what it is for"
    seen = look(in_folder, back=False)
    assert board(seen.job).ok
    assert seen.seen.slots is not None
    assert seen.seen.slots.state is not None
    assert seen.seen.slots.state.trial == "B", "the key is the loader's business, not the ramdisk's"


def test_what_a_re_image_came_to_is_in_the_folders_of_its_runs(in_folder: Path, board: Board) -> None:
    first = installed(board, in_folder)
    planned = plan_changed(in_folder)
    board.boots = [from_disk("B"), from_disk("B", tried=planned.image.image.key[:8])]
    done = planned.run_in(board, board)
    write, trial, keep = (RunFolder(run.folder) for run in done.runs)
    assert [run_row(run)["work"] for run in (write, trial, keep)] == [
        *("reimage: write", "reimage: trial", "reimage: keep")
    ]
    told = run_report(keep).splitlines()
    assert told[-3:] == list(reimaged_lines(done.to_dict()))
    assert told[-1].startswith("back      bringup rollback e300")
    assert str(first.outcome.image_id) in told[-1]
    assert run_report(write).splitlines()[-1].startswith(f"then      bringup runs show {keep.run_id} ")
    assert run_json(write, with_events=False)["reimage"] == done.to_dict()
    assert [run_row(RunFolder(run.folder))["work"] for run in first.runs][-1] == "reimage: start"


def test_what_was_found_in_the_slots_is_in_the_folder_of_the_run(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    seen = look(in_folder)
    run = RunFolder(seen.run_in(board).folder)
    assert run_row(run)["work"] == "slots"
    assert run_report(run).endswith("\n".join(slots_lines("e300", seen.seen.to_dict())))


@dataclass
class Loader:
    """A board whose GRUB saves what it does, too, and hears the key or does not."""

    board: Board
    hears: bool = False
    tried_id: str | None = None

    def __call__(self, job: Job) -> Finished:
        done = self.board(job)
        steps = {step.name: step.title for step in job.plan.steps}
        if "trial" in steps:
            self._save(lambda state: replace(state.begun(), image_id=self.tried_id or state.image_id))
        elif "is kept" in steps.get("slot", "") and self.hears:
            self._save(lambda state: state.settled("B"))
        return done

    def state(self) -> State:
        state = self._slots().state
        assert state is not None
        return state

    def _slots(self) -> DiskSlots:
        with self.board.disk.open("rb") as file:

            def read(offset: int, length: int) -> bytes:
                return os.pread(file.fileno(), length, offset)

            layout = contents_of(read, DISK, 512).layout
            assert layout is not None
            return read_slots(read, layout)

    def _save(self, change: Callable[[State], State]) -> None:
        slots, page = self._slots(), change(self.state()).page()
        with self.board.disk.open("r+b") as file:
            for place in slots.places:
                file.seek(place)
                file.write(page)


@pytest.mark.parametrize("asks", [False, True])
def test_what_the_key_did_not_keep_is_kept_by_the_ramdisk(in_folder: Path, board: Board, asks: bool) -> None:
    """The loader's question was lost, or the answer was: the image before starts."""
    installed(board, in_folder)
    planned, loader = plan_changed(in_folder), Loader(board)
    asked = from_disk("A", tried=planned.image.image.key[:8]) if asks else from_disk("A")
    board.boots = [from_disk("B"), asked, from_disk("B")]
    done = planned.run_in(loader, board)
    assert done.ok, done.last.verdict
    assert [run.ok for run in done.runs] == [True, True, False, True, True]
    assert done.outcome.kept is True
    assert (loader.state().good, loader.state().trial, loader.state().tried) == ("B", None, None)
    assert "disk.confirmed" in board.kinds()
    keeping = [order.split() for order in board.ramdisks[-1].obeyed if order.startswith("write")]
    assert [int(length) for _, _, _, length, _ in keeping] == [4096, 4096], "the image is not written again"


def test_a_key_that_was_heard_and_not_seen_to_be_is_looked_for(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    planned, loader = plan_changed(in_folder), Loader(board, hears=True)
    asks, _, up = from_disk("B", tried=planned.image.image.key[:8])
    board.boots = [from_disk("B"), (asks, up), from_disk("B")]
    done = planned.run_in(loader, board)
    assert done.ok, done.last.verdict
    assert done.outcome.kept is True
    assert not [order for order in board.ramdisks[-1].obeyed if order.startswith("write")]


def test_an_image_that_was_kept_and_fails_then_is_told_as_kept(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    planned, loader = plan_changed(in_folder), Loader(board, hears=True)
    panic = "Boot config: console_port = 0x2f8\r\nseL4 failed assertion 'x' at y.c:1 in function z\r\n"
    board.boots = [from_disk("B"), from_disk("B", tried=planned.image.image.key[:8], text=panic)]
    done = planned.run_in(loader, board)
    assert (done.exit_code, len(done.runs), done.outcome.kept) == (11, 3, True)


def test_the_ramdisk_keeps_no_other_image_than_the_one_that_came_up(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.boots = [from_disk("B"), from_disk("A")]
    done = plan_changed(in_folder).run_in(Loader(board, tried_id="00000000"), board)
    assert done.exit_code == 10
    assert "the image that was tried is 00000000, not" in done.last.verdict["cause"]
    assert (done.outcome.came_up, done.outcome.kept) == (True, False)


def test_whether_it_is_kept_is_not_known_where_the_key_was_pressed_and_no_ramdisk_came(
    in_folder: Path, board: Board
) -> None:
    installed(board, in_folder)
    planned, loader = plan_changed(in_folder), Loader(board)

    def run(job: Job) -> Finished:
        if len(board.told) == 4:
            board.loading = (Said(1.0, "No bootable device.\r\n"),)
        return loader(job)

    board.boots = [from_disk("B"), from_disk("A", tried=planned.image.image.key[:8])]
    done = planned.run_in(run, board)
    assert (done.ok, len(done.runs), done.outcome.kept) == (False, 4, None)


def on_trial(board: Board, folder: Path, *, started: bool = True) -> str:
    """Have a second image left on trial, and return its id."""
    installed(board, folder)
    board.boots = [from_disk("B")]
    done = plan_changed(folder, confirm="never").run_in(Loader(board) if started else board, board)
    assert done.ok
    assert done.outcome.image_id is not None
    return done.outcome.image_id


def test_an_image_that_was_tried_is_kept_later_by_its_id(in_folder: Path, board: Board) -> None:
    image_id = on_trial(board, in_folder)
    keep = look(in_folder, confirm=image_id)
    told = board(keep.job)
    assert told.ok, told.verdict
    assert keep.seen.chosen == "B"
    assert [slot["role"] for slot in keep.seen.to_dict()["slots"].values()] == ["old", "good"]
    again = board(look(in_folder, confirm=image_id).job)
    assert f"nothing is on trial: {image_id} in slot B is the good one already" in again.verdict["cause"]
    assert again.exit_code == 10


@pytest.mark.parametrize("newest", [False, True])
def test_an_image_that_was_made_for_an_older_capture_is_kept_with_a_word(
    in_folder: Path, board: Board, newest: bool
) -> None:
    listed = in_folder / "pciconf.txt"
    listed.write_text("igb0@pci0:23:0:0:\tclass=0x020000 card=0x11d11734 chip=0x15218086 rev=0x01 hdr=0x00\n")
    made_for = str(open_capture([captures.add("e300", listed)]).sources[0].sha256)
    installed(board, in_folder)
    planned = replace(plan_changed(in_folder, confirm="never"), capture=made_for if newest else "ab" * 32)
    board.boots = [from_disk("B")]
    assert planned.run_in(Loader(board), board).ok
    keep = look(in_folder, confirm=planned.image.image.key[:8])
    assert board(keep.job).ok
    assert ("made for an older capture of e300" in str(keep.seen.careful)) is not newest


def test_another_image_than_the_one_that_was_tried_is_not_kept(in_folder: Path, board: Board) -> None:
    image_id = on_trial(board, in_folder)
    told = board(look(in_folder, confirm="00000000").job)
    assert f"the image that was tried is {image_id}, not 00000000" in told.verdict["cause"]
    assert Loader(board).state().tried == "B"


def test_an_image_that_was_not_started_yet_is_not_kept(in_folder: Path, board: Board) -> None:
    image_id = on_trial(board, in_folder, started=False)
    told = board(look(in_folder, confirm=image_id).job)
    assert "is on trial and was not started yet" in told.verdict["cause"]


def test_where_nothing_was_tried_nothing_is_kept(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    told = board(look(in_folder, confirm="00000000").job)
    assert "no image was tried on this disk" in told.verdict["cause"]


def test_an_image_on_trial_is_kept_only_where_it_is_wanted(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.boots = [from_disk("B")]
    done = plan_changed(in_folder, confirm="never").run_in(board, board)
    assert done.ok
    assert not done.outcome.kept
    assert len(board.told) == 4


def test_a_person_is_asked_whether_it_is_kept(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.boots = [from_disk("B")]
    board.answers = ["no"]
    done = plan_changed(in_folder, confirm="ask").run_in(board, board)
    assert not done.outcome.kept
    assert "Keep it?" in board.asked[0]


def test_ctrl_c_at_the_question_leaves_it_on_trial(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)

    class Leaves(Board):
        def choose(self, question: str, answers: Sequence[str]) -> str:
            os.kill(os.getpid(), signal.SIGINT)
            return super().choose(question, answers)

    board.boots = [from_disk("B")]
    person = Leaves(in_folder, answers=["yes"])
    with Signals() as signals:
        signals.ignore()  # as after the run before
        done = plan_changed(in_folder, confirm="ask").run_in(board, person, signals)
    assert done.ok
    assert not done.outcome.kept


def test_without_an_answer_it_stays_on_trial(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.boots = [from_disk("B")]
    done = plan_changed(in_folder, confirm="ask").run_in(board, board)
    assert done.ok
    assert not done.outcome.kept


def test_a_trial_that_fails_is_not_kept_and_the_board_starts_again(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    panic = "Boot config: console_port = 0x2f8\r\nseL4 failed assertion 'x' at y.c:1 in function z\r\n"
    board.boots = [from_disk("B", text=panic)]
    done = plan_changed(in_folder).run_in(board, board)
    assert not done.ok
    assert done.exit_code == 11
    assert not done.outcome.kept
    assert board.benches[-1].calls.count("on") == 2, "it is started again, into the image before"


def test_another_slot_than_the_new_one_is_no_success(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.boots = [from_disk("A")]
    done = plan_changed(in_folder).run_in(board, board)
    assert not done.ok
    assert "started slot A, not B" in done.last.verdict["cause"]
    assert not done.outcome.kept


def test_an_image_that_came_up_from_nobody_knows_where_is_not_kept(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.boots = [(Said(1.0, USER_SPACE),)]
    done = plan_changed(in_folder).run_in(board, board)
    assert "was not seen to start slot B" in done.last.verdict["cause"]


def test_going_back_names_the_image_before(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.boots = [from_disk("B")]
    plan_changed(in_folder, confirm="never").run_in(board, board)
    back = look(in_folder, back=True)
    assert board(back.job).ok
    assert back.seen.chosen == "A"
    assert back.seen.slots is not None
    assert back.seen.slots.state is not None
    assert (back.seen.slots.state.good, back.seen.slots.state.trial) == ("A", None)
    assert back.seen.to_dict()["slots"]["B"]["role"] == "old"


def test_of_two_disks_with_slots_the_one_that_the_lab_file_names_is_meant(
    in_folder: Path, board: Board
) -> None:
    board.boots = [from_disk("A")]
    reimage(board, in_folder)
    board.listing = TWO
    nobody_said = look(in_folder)
    assert "2 disks have slots" in board(nobody_said.job).verdict["cause"]
    named = replace(nobody_said, board=replace(nobody_said.board, disk="S2"))
    assert board(named.job).ok
    assert named.seen.disk is not None
    assert named.seen.disk.serial == "S2"


def test_an_image_that_is_built_anew_while_it_is_written_is_the_images_fault(
    in_folder: Path, board: Board
) -> None:
    planned = plan(in_folder)

    def build(words: list[str]) -> None:
        if words[0] == "write":
            planned.image.image.modules[0].path.write_bytes(b"b module")

    board.fail = build
    done = planned.run_in(board, board)
    assert "changed while it was in use" in done.last.verdict["cause"]
    assert done.exit_code == 11


def test_nothing_is_written_without_a_yes(in_folder: Path, board: Board) -> None:
    done = reimage(board, in_folder, yes=False)
    assert not done.ok
    assert "nobody said yes, and nothing was written" in done.last.verdict["cause"]
    assert done.last.verdict["stage"] == "maintenance", "that it is off again afterwards takes nothing back"
    assert board.benches[0].calls[-1] != "on" and "off" in board.benches[0].calls
    assert "overwritten, not erased" in board.asked[0]
    assert "to the disk of e300?" in board.asked[0]
    assert done.to_dict()["begun"] is False
    board.answers = ["", "no"]
    assert "answered no" in reimage(board, in_folder, yes=False).last.verdict["cause"]
    assert "write" not in board.obeyed
    assert board.disk.stat().st_blocks == 0, "the file is as sparse as it was made"


def test_a_yes_writes(in_folder: Path, board: Board) -> None:
    board.answers, board.boots = ["yes"], [from_disk("A")]
    assert reimage(board, in_folder, yes=False).ok


TWO = listing("sda", "S1") + listing("sdb", "S2")


@pytest.mark.parametrize(
    ("disks", "asked", "cause", "code"),
    [
        (TWO, None, "2 disks fit", 2),
        (TWO, "S3", "no disk is called S3", 2),
        (TWO, "sda", "is not the name of a disk", 2),
        (listing("sda", "S1"), "", "name of the disk is empty", 2),
        (listing("sda", "S1") + listing("sdb", "S1"), "S1", "2 disks are called S1", 2),
        (listing("sda", "S1", SLOT), None, "no disk fits", 10),
        (listing("sda", "S1", more="sda holder md0\n"), "S1", "it is in use: md0 holds it", 10),
        ("loop0 size 38\n", None, "the board shows no disk", 10),
    ],
)
def test_the_wrong_disk_is_not_written(
    in_folder: Path, board: Board, disks: str, asked: str | None, cause: str, code: int
) -> None:
    board.listing = disks if disks.startswith("sd") else "x"
    done = reimage(board, in_folder, disk=asked)
    assert cause in done.last.verdict["cause"]
    assert done.exit_code == code
    assert "write" not in board.obeyed


def test_a_second_disk_with_slots_is_told_of(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    board.listing = TWO  # the same bytes twice: both have slots
    seen = plan_slots(load_lab(in_folder), "e300", disk="S1", ramdisk=lambda: find_image(image(in_folder)))
    assert board(seen.job).ok
    assert "serial S2" in str(seen.seen.careful)
    board.boots = [from_disk("B", text="")]
    done = reimage(board, in_folder, disk="S1")
    assert done.to_dict()["careful"] == seen.seen.careful
    assert board.kinds().count("disk.rivals") == 2


@pytest.mark.parametrize("now", [listing("sda", "S2"), listing("sdb", "S1"), listing("sda", "S1", DISK * 2)])
def test_a_disk_that_was_changed_while_a_person_was_asked_is_not_written(
    in_folder: Path, board: Board, now: str
) -> None:
    """A disk that is pulled leaves its name to the next one."""
    board.answers = ["yes"]
    board.meanwhile = now
    done = reimage(board, in_folder, yes=False)
    assert "is not there any more" in done.last.verdict["cause"]
    assert done.exit_code == 10
    assert "write" not in board.obeyed


def test_a_disk_that_is_pulled_while_it_is_written_leaves_nothing_for_the_next_of_its_name(
    in_folder: Path, board: Board
) -> None:
    def sequenced(serial: str, number: str) -> str:
        return listing("sda", serial, more=f"sda diskseq {number.encode().hex()}\n")

    board.listing = sequenced("S1", "7")
    others = b"the disk of somebody else" * 1000

    def pull(words: list[str]) -> None:
        if words[0] == "flush":
            board.ramdisks[-1].listing = sequenced("S2", "8")
            board.disk.write_bytes(others)

    board.fail = pull
    done = reimage(board, in_folder)
    assert "not there any more" in done.last.verdict["cause"]
    assert done.exit_code == 10
    assert board.disk.read_bytes() == others


def test_a_disk_of_others_is_taken_only_by_name(in_folder: Path, board: Board) -> None:
    with board.disk.open("r+b") as file:
        file.write(b"XFSB")
    done = reimage(board, in_folder)
    assert "it holds file system (XFS), and is taken only when it is named" in done.last.verdict["cause"]
    board.boots = [from_disk("A")]
    assert reimage(board, in_folder, disk="S1").ok


@pytest.mark.parametrize(
    ("order", "why", "cause"),
    [
        ("write", "write", "refused to write"),
        ("flush", "flush", "could not be flushed"),
        ("hash", "read", "could not be read"),
        ("write", "late", "did not do it in time"),
    ],
)
def test_a_disk_that_fails_leaves_the_image_before(
    in_folder: Path, board: Board, order: str, why: str, cause: str
) -> None:
    installed(board, in_folder)
    obeyed_before = len(board.obeyed)

    def fail(words: list[str]) -> str | None:
        """What is read before anything is written is right yet."""
        begun = order == "write" or "write" in board.obeyed[obeyed_before:]
        return why if words[0] == order and begun else None

    board.fail = fail
    done = plan_changed(in_folder).run_in(board, board)
    assert done.exit_code == 10
    assert cause in done.last.verdict["cause"]
    assert not done.outcome.written
    board.fail = lambda _words: None
    seen = look(in_folder)
    board(seen.job)
    assert seen.seen.slots is not None
    assert seen.seen.slots.good == "A"
    assert seen.seen.slots.state is not None
    assert seen.seen.slots.state.trial is None


def test_the_dry_run_says_that_it_is_not_erased(in_folder: Path) -> None:
    write, boot = plan(in_folder).jobs()
    titles = [step.title for step in write.plan.steps]
    assert any("overwritten, not erased" in title for title in titles)
    assert "boot override: disk, once, BIOS; read back" in [step.title for step in boot.plan.steps]


def test_a_large_image_has_the_time_that_grub_hashes_it_without_a_word(in_folder: Path) -> None:
    def kernel_s(mib: int) -> float:
        files = image(in_folder)
        os.truncate(files[1], mib << 20)
        request = ReimageRequest(yes=True)
        planned = plan_reimage(load_lab(in_folder), "e300", files, request, ramdisk=lambda: find_image(files))
        _, boot = planned.jobs()
        return next(limit.timeout_s for limit in boot.plan.limits if limit.stage == "kernel")

    assert kernel_s(201) - kernel_s(1) == pytest.approx(100)


def test_an_image_that_no_slot_holds_is_refused_before_anything(in_folder: Path) -> None:
    paths = image(in_folder)
    paths[1].write_bytes(bytes(3 << 20))
    request = ReimageRequest(slot_bytes=2 << 20)
    with pytest.raises(ImageError, match="a slot has"):
        plan_reimage(load_lab(in_folder), "e300", paths, request, ramdisk=lambda: find_image(paths))


def test_the_manifest_says_which_capture_the_overlay_was_made_for(in_folder: Path) -> None:
    mark = '// bringup: {"schema":1,"board":"e300","profile":"p","capture":{"name":"c","sha256":"%s"}}\n'
    config = in_folder / "made.camkes"
    config.write_text(mark % ("ab" * 32))
    paths = image(in_folder)
    planned = plan_reimage(
        load_lab(in_folder), "e300", paths, config=config, ramdisk=lambda: find_image(paths)
    )
    assert planned.capture == "ab" * 32


@pytest.mark.parametrize("update", [False, True])
def test_a_person_who_stops_it_is_told_what_the_disk_starts(
    in_folder: Path, board: Board, update: bool
) -> None:
    if update:
        installed(board, in_folder)

    def stop(words: list[str]) -> str | None:
        if words[0] == "write":
            os.kill(os.getpid(), signal.SIGINT)
        return None

    board.fail = stop
    done = plan_changed(in_folder).run_in(board, board)
    assert done.exit_code == 130
    told = done.last.verdict["cause"]
    assert "the same command goes on where this ended" in told
    assert ("which was not touched" if update else "boots nothing until") in told
    board.fail = lambda _words: None
    board.boots = (
        [from_disk("B"), from_disk("B", tried=str(done.outcome.image_id))] if update else [from_disk("A")]
    )
    assert plan_changed(in_folder).run_in(board, board).ok


@pytest.mark.parametrize(("on", "after"), [(True, ["off", "on"]), (False, ["off"])])
def test_a_look_leaves_the_board_as_it_was(in_folder: Path, board: Board, on: bool, after: list[str]) -> None:
    board.on = on
    assert not board(look(in_folder).job).ok, "the disk is blank"
    calls = [call for call in board.benches[-1].calls if call in ("on", "off")]
    assert calls == [*(["off"] if on else []), "on", *after]


def test_what_follows_takes_the_board_over(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    assert board.benches[0].calls.count("off") == 0


def test_an_image_that_starts_although_both_states_are_garbage_is_not_overwritten(
    in_folder: Path, board: Board
) -> None:
    installed(board, in_folder)
    spoil_states(board, in_folder)
    board.boots = [from_disk("B")]
    done = plan_changed(in_folder, confirm="never").run_in(board, board)
    assert (done.outcome.action, done.outcome.slot) == ("update", "B")


def test_a_disk_that_starts_nothing_is_installed_anew(in_folder: Path, board: Board) -> None:
    installed(board, in_folder)
    spoil_states(board, in_folder, slot=True)
    board.boots = [from_disk("A")]
    done = plan_changed(in_folder).run_in(board, board)
    assert (done.outcome.action, done.outcome.slot) == ("install", "A")


def kept_in_b(board: Board, folder: Path) -> DiskSlots:
    """Have a second image kept in slot B, damage it, and return the slots as they were before that."""
    installed(board, folder)
    board.boots = [from_disk("B")]
    plan_changed(folder, confirm="never").run_in(board, board)
    seen = look(folder)
    board(seen.job)
    slots = seen.seen.slots
    assert slots is not None
    assert slots.state is not None
    with board.disk.open("r+b") as file:
        for place in slots.places:
            file.seek(place)
            file.write(slots.state.settled("B").page())
        volume = FatVolume(
            lambda at, length: os.pread(file.fileno(), length, at), slots.layout.slot("B").start
        )
        file.seek(volume.runs("module1.img")[0][0])
        file.write(b"garbage")
    return slots


def test_the_only_image_that_starts_is_not_overwritten(in_folder: Path, board: Board) -> None:
    """The one that should start is damaged, and GRUB starts the other one at every start."""
    kept_in_b(board, in_folder)
    board.boots = [from_disk("B")]
    done = plan_changed(in_folder, confirm="never").run_in(board, board)
    assert (done.outcome.action, done.outcome.slot, done.outcome.written) == ("update", "B", True)
    assert "disk.damaged" in board.kinds()


def test_going_back_to_a_damaged_image_is_refused(in_folder: Path, board: Board) -> None:
    slots = kept_in_b(board, in_folder)
    assert slots.state is not None
    with board.disk.open("r+b") as file:
        for place in slots.places:
            file.seek(place)
            file.write(slots.state.settled("A").page())
    back = look(in_folder, back=True)
    told = board(back.job)
    assert "slot B has no image to go back to" in told.verdict["cause"]
    assert back.seen.to_dict()["slots"]["B"]["role"] == "damaged"


def spoil_states(board: Board, folder: Path, *, slot: bool = False) -> None:
    seen = look(folder)
    board(seen.job)
    slots = seen.seen.slots
    assert slots is not None
    with board.disk.open("r+b") as file:
        for place in (*slots.places, *([slots.layout.slot("A").start] if slot else [])):
            file.seek(place)
            file.write(b"garbage" * 100)


def test_where_no_ramdisk_comes_up_the_boot_says_why_and_nobody_is_given_orders(
    board: Board, tmp_path: Path
) -> None:
    board.loading = (Said(0.5, "SeaBIOS (version 1.16.2)\r\n"), Said(1.0, "No bootable device.\r\n"))
    done = reimage(board, tmp_path)
    assert done.last.verdict["code"] != "ok"
    assert "has not answered" not in done.last.verdict["cause"]
    assert (done.outcome.disk, len(done.runs)) == (None, 1)
