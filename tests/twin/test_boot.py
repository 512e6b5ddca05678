"""`bringup boot` end to end on the twin: successes, the whole table of failures, and bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bringup.base.stage import Stage
from bringup.boot.folders import RunFolder
from bringup.lab.inventory import twin_board
from tests.twin.helpers import PATIENCE_S, Cli, Outcome, assert_nothing_left, long, processes_of, wait_for

pytestmark = pytest.mark.slow


def boot(cli: Cli, *words: str, **options: Any) -> Outcome:
    return cli("boot", "e300", *words, "--json", **options)


def debian_kernels() -> list[Path]:
    """The distribution's kernels that we may read (some distributions keep them to root)."""
    return [path for path in sorted(Path("/boot").glob("vmlinuz-*")) if os.access(path, os.R_OK)]


def stages(body: dict[str, Any]) -> list[str]:
    return [stage["name"] for stage in body["stages"]]


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_stand_in_reaches_user_space(cli: Cli, firmware: str) -> None:
    outcome = boot(cli, "--firmware", firmware)
    body = outcome.json
    assert (outcome.code, body["verdict"], body["stage"]) == (0, "ok", "user-space"), outcome.err
    assert body["board"] == "e300"
    assert body["twin"] is True
    assert stages(body) == [
        "power",
        "firmware",
        "dhcp",
        "loader",
        "kernel-image",
        "modules",
        "kernel",
        "user-space",
    ]
    times = [stage["at_s"] for stage in body["stages"]]
    assert all(time is not None for time in times)
    # Firmware talks while its power is still being confirmed; from then on one follows the other.
    assert times[2:] == sorted(times[2:])
    assert_nothing_left(cli.home)


@pytest.mark.parametrize(
    ("loader", "served"),
    [
        long("efi", {"loader": "tftp", "loader-script": "http", "boot-image": "http"}),
        ("efi-tftp", {"boot-image": "tftp"}),
        long("grub", {"loader": "tftp", "loader-script": "tftp", "kernel": "tftp", "module": "tftp"}),
    ],
)
def test_every_loader_of_uefi(cli: Cli, loader: str, served: dict[str, str]) -> None:
    outcome = boot(cli, "--firmware", "uefi", "--loader", loader)
    body = outcome.json
    assert (outcome.code, body["verdict"], body["stage"]) == (0, "ok", "user-space"), outcome.err
    folder = Path(body["folder"])
    assert json.loads((folder / "plan.json").read_text())["loader"] == loader
    events = [json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines()]
    done = [event for event in events if event["kind"] in ("tftp.done", "http.done")]
    assert {event["data"]["role"]: event["source"] for event in done} == served
    assert all(event["data"]["bytes"] > 0 for event in done)


def test_no_root_is_needed(cli: Cli) -> None:
    # In this user namespace we are user 1000, without a single capability.
    ordinary = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    assert (
        subprocess.run([*ordinary, "id", "-u"], capture_output=True, text=True, check=True).stdout == "1000\n"
    )
    outcome = boot(cli, prefix=ordinary)
    assert (outcome.code, outcome.json["verdict"]) == (0, "ok"), outcome.err
    assert_nothing_left(cli.home)


def test_the_run_folder_tells_everything(cli: Cli) -> None:
    body = boot(cli).json
    folder = Path(body["folder"])
    assert body["run"] == folder.name
    for name in ("plan.json", "profile.json", "image.json", "verdict.json"):
        assert json.loads((folder / name).read_text()), name
    kinds = [json.loads(line)["kind"] for line in (folder / "events.ndjson").read_text().splitlines()]
    for kind in (
        "console.attached",
        "override.read",
        "power.state",
        "dhcp.ack",
        "http.done",
        "console.stage",
    ):
        assert kind in kinds, kind
    assert b"not seL4" in (folder / "console.log").read_bytes()
    image = json.loads((folder / "image.json").read_text())
    assert len(image["kernel"]["sha256"]) == 64
    shown = cli("runs", "show")
    assert shown.code == 0
    assert body["run"] in shown.out
    assert "user-space" in shown.out
    listed = cli("runs", "--json").json["runs"]
    assert [(run["run"], run["verdict"]) for run in listed] == [(body["run"], "ok")]
    console = cli("runs", "show", body["run"], "--console")
    assert "bringup stand-in image, not seL4" in console.out


def test_a_person_reads_it_stage_by_stage(cli: Cli) -> None:
    outcome = cli("boot", "e300")
    assert outcome.code == 0
    lines = outcome.err.splitlines()
    assert lines[0].startswith("no lab.toml here: e300 is the virtual SYS-E300-9D")
    order = ["console", "override", "power", "dhcp", "module", "user space"]
    places = [next(i for i, line in enumerate(lines) if f"{word}  " in line) for word in order]
    assert places == sorted(places), outcome.err
    (verdict,) = outcome.out.splitlines()
    assert verdict.startswith("ok  e300 reached user-space in ")


@pytest.mark.parametrize("firmware", ["bios", long("uefi")])
def test_an_image_that_talks_to_com1_is_heard_there(cli: Cli, firmware: str) -> None:
    words = ("--firmware", firmware, "--append", "console_port=0x3f8 debug_port=0x3f8")
    outcome = boot(cli, *words)
    body = outcome.json
    assert (outcome.code, body["code"]) == (12, "other-port"), outcome.out
    assert "COM1" in body["cause"]
    assert (body["stage"], body["missing"]) == ("modules", "kernel")
    assert "console_port=0x2f8" in json.dumps(body["causes"])
    folder = Path(body["folder"])
    assert b"dropped to user space" in (folder / "console1.log").read_bytes()
    assert b"dropped to user space" not in (folder / "console.log").read_bytes()
    assert "-- COM1 --" in cli("runs", "show", "--console").out


# play option -> (exit code, verdict code, last stage)
FAILURES = {
    "play=assert": (11, "kernel-assertion", "kernel"),
    "play=vtx-locked": (12, "vtx-locked", "kernel"),
    "play=no-module": (11, "no-boot-module", "kernel"),
    "play=reboot": (11, "reboot-loop", "kernel"),
    "play=garbage": (12, "garbage", "kernel"),
    "play=cap-fault": (11, "thread-fault", "user-space"),
    "play=report:exception": (11, "thread-fault", "user-space"),
    "play=report:unknown-reason": (11, "kernel-stopped", "kernel"),
    "play=late-fault": (11, "component-fault", "user-space"),
    "play=suite-fails:20": (11, "tests-failed", "user-space"),
}


# Every play has its verdict in tests/transcripts/test_played.py; these three end in three ways.
ALWAYS = ("play=reboot", "play=garbage", "play=cap-fault")


@pytest.mark.parametrize("play", [play if play in ALWAYS else long(play) for play in FAILURES])
def test_every_failure_has_its_verdict(cli: Cli, play: str) -> None:
    code, name, stage = FAILURES[play]
    outcome = boot(cli, "--append", play)
    body = outcome.json
    assert (outcome.code, body["code"], body["stage"]) == (code, name, stage), outcome.out
    assert body["cause"]
    assert body["causes"]
    # Told when it was seen, not when some limit was over.
    last = max(s["at_s"] for s in body["stages"] if s["at_s"] is not None)
    assert body["at_s"] - last < twin_board("e300").profile.stages.of(Stage.USER_SPACE).timeout_s
    assert_nothing_left(cli.home)


@pytest.fixture
def impatient(cli: Cli) -> Cli:
    """A lab whose twin is given a few seconds for the stages after the kernel's start."""
    (cli.folder / "boards").mkdir()
    limits = "\n".join(
        f"{stage} = {{ expected_s = 1, timeout_s = {seconds}, grade = 'INF', source = 'test' }}"
        for stage, seconds in (("user-space", 5), ("vmm", 4), ("guest", 4), ("login", 5))
    )
    profile = f"extends = 'twin-e300-9d'\n[sources]\ntest = 'this test'\n[stages]\n{limits}\n"
    (cli.folder / "boards" / "impatient.toml").write_text(profile)
    (cli.folder / "lab.toml").write_text("[boards.e300]\nprofile = 'impatient'\ntwin = true\n")
    return cli


def test_a_hung_kernel_is_told_when_its_time_is_up(impatient: Cli) -> None:
    outcome = boot(impatient, "--append", "play=hang:kernel")
    body = outcome.json
    assert (outcome.code, body["code"], body["stage"]) == (11, "kernel-hangs", "kernel"), outcome.out
    assert_nothing_left(impatient.home)


@pytest.mark.parametrize("stage", [long("user-space"), "vmm", long("guest")])
def test_a_hang_after_a_stage_is_missed_by_the_next(impatient: Cli, stage: str) -> None:
    cli = impatient
    following = {"user-space": "vmm", "vmm": "guest", "guest": "login"}[stage]
    outcome = boot(cli, "--append", f"vms=1 play=hang:{stage}", "--until", "login", "--vms", "1")
    body = outcome.json
    assert (body["stage"], body["missing"]) == (stage, following), outcome.out
    assert outcome.code in (10, 11, 12)


@pytest.mark.long
def test_every_vm_must_log_in(cli: Cli) -> None:
    body = boot(cli, "--append", "vms=3", "--vms", "3").json
    assert (body["verdict"], body["stage"]) == ("ok", "login")


# play option -> what the success rests on
SUCCESSES = {
    "vms=3": "reached login in guest 0, guest 1, guest 2",
    "play=suite:20": "passed its tests: 21 tests passed, 0 tests disabled; All is well in the universe",
    "play=release:0x2f8": "which the kernel does not print, then quiet for 5 s",
}


@pytest.mark.parametrize("play", [long(play) if "release" in play else play for play in SUCCESSES])
def test_a_boot_without_until_ends_by_what_the_image_is_good_for(cli: Cli, play: str) -> None:
    outcome = cli("boot", "e300", "--append", play)
    assert outcome.code == 0, outcome.out + outcome.err
    assert SUCCESSES[play] in outcome.out


def test_a_flood_is_no_failure_and_nothing_is_lost(cli: Cli) -> None:
    body = boot(cli, "--append", "play=flood:1000").json
    assert body["verdict"] == "ok"
    log = (Path(body["folder"]) / "console.log").read_text(errors="replace")
    numbers = [int(line.split()[1]) for line in log.splitlines() if line.startswith("flood ")]
    assert numbers == list(range(numbers[0], numbers[0] + 1000))


def test_a_release_image_prints_nothing_and_still_logs_in(cli: Cli) -> None:
    body = boot(cli, "--append", "play=release vms=1", "--vms", "1").json
    assert (body["verdict"], body["stage"]) == ("ok", "login"), body


def test_a_real_run_does_what_its_dry_run_says(cli: Cli) -> None:
    planned = [step["title"] for step in cli("boot", "e300", "--dry-run", "--json").json["steps"]]
    run = RunFolder(Path(boot(cli).json["folder"]))
    steps = [(event.text, event.data["state"]) for event in run.events() if event.kind == "run.step"]
    assert [title for title, state in steps if state == "begin"] == planned
    assert [title for title, state in steps if state == "done"] == planned


def test_whoever_acts_on_a_board_that_boots_is_refused_by_name_and_the_boot_goes_on(cli: Cli) -> None:
    boots = cli.popen("boot", "e300", "--json", "--firmware", "uefi")  # the slow one
    runs = cli.home / "state" / "runs"
    assert wait_for(lambda: any(b"power.action" in p.read_bytes() for p in runs.glob("*/events.ndjson")))
    commands = [
        ("power", "e300", "off"),
        ("power", "e300", "reset"),
        ("console", "e300"),
        ("boot", "e300"),
        ("probe-pci", "e300", "--linux-probe"),
        ("twin", "down"),
    ]
    for words, process in [(words, cli.popen(*words)) for words in commands]:
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 10, (words, err)
        assert f"(process {boots.pid}, boot" in err, words
    assert boots.poll() is None  # it still boots
    out, err = boots.communicate(timeout=PATIENCE_S)
    assert (boots.returncode, json.loads(out)["verdict"]) == (0, "ok"), err


def test_whoever_forces_is_an_event_of_the_run_they_disturb(cli: Cli) -> None:
    process = cli.popen("boot", "e300", "--json", "--append", "play=hang:kernel")
    runs = cli.home / "state" / "runs"
    assert wait_for(lambda: any(b"http.done" in p.read_bytes() for p in runs.glob("*/events.ndjson")))
    forced = cli("power", "e300", "off", "--force")
    assert forced.code == 0
    assert f"(process {process.pid}, boot" in forced.err
    body = json.loads(process.communicate(timeout=PATIENCE_S)[0])
    assert "went off while it was booting" in body["cause"]
    (told,) = [e for e in RunFolder(Path(body["folder"])).events() if e.kind == "run.passed_over"]
    assert "acts on this board all the same: power off" in told.text


def test_dry_run_touches_nothing(cli: Cli) -> None:
    outcome = cli("boot", "e300", "--dry-run", "--json")
    plan = outcome.json
    assert outcome.code == 0
    assert [step["name"] for step in plan["steps"]] == [
        "twin",
        "console",
        "second-port",
        "serve",
        "override",
        "power",
        "watch",
        "disarm",
        "stop-serving",
        "detach",
        "end-twin",
    ]
    assert not (cli.home / "state" / "runs").exists()
    assert not processes_of(cli.home)
    text = cli("boot", "e300", "--dry-run").out
    assert "nothing was touched" in text


def test_xen_shows_its_banner(cli: Cli) -> None:
    xen = Path("/boot/xen-4.17-amd64.gz")
    kernels = debian_kernels()
    if not xen.exists() or not kernels:
        pytest.skip("Debian's Xen or its dom0 kernel is not installed: `make system-test`")
    outcome = boot(cli, str(xen), str(kernels[-1]), "--until", "kernel")
    body = outcome.json
    assert (outcome.code, body["verdict"]) == (0, "ok"), outcome.out
    assert "Xen" in (Path(body["folder"]) / "console.log").read_text(errors="replace")


@pytest.mark.parametrize("firmware", ["bios", long("uefi")])
def test_bare_linux_boots_too(cli: Cli, tmp_path: Path, firmware: str) -> None:
    kernels = debian_kernels()
    busybox = Path("/bin/busybox")
    if not kernels or not busybox.exists():
        pytest.skip("a Debian kernel or busybox is not installed: `make system-test`")
    root = tmp_path / "root"
    for folder in ("bin", "dev", "proc"):
        (root / folder).mkdir(parents=True)
    (root / "bin" / "busybox").write_bytes(busybox.read_bytes())
    (root / "bin" / "busybox").chmod(0o755)
    init = "#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs d /dev\nexec </dev/console >/dev/console 2>&1\n"
    init += "echo; echo 'twin login: '\nwhile :; do /bin/busybox sleep 60; done\n"
    (root / "init").write_text(init)
    (root / "init").chmod(0o755)
    initrd = tmp_path / "initrd.cpio"
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with initrd.open("wb") as out:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), stdout=out, cwd=root, check=True
        )
    outcome = boot(cli, str(kernels[-1]), str(initrd), "--until", "login", "--firmware", firmware)
    body = outcome.json
    assert (outcome.code, body["verdict"], body["stage"]) == (0, "ok", "login"), outcome.out


def test_interrupt_leaves_nothing_and_says_how_the_board_was_left(cli: Cli) -> None:
    process = cli.popen("boot", "e300", "--json", "--append", "play=hang:kernel")
    assert wait_for(lambda: any("qemu-system" in line for line in processes_of(cli.home)))
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    body = json.loads(out)
    assert body["verdict"] == "interrupted"
    assert "the twin that this boot started is ended" in body["cause"]
    assert "Traceback" not in err
    assert_nothing_left(cli.home)


def test_a_killed_boot_leaves_no_process_and_a_readable_run(cli: Cli) -> None:
    process = cli.popen("boot", "e300", "--append", "play=hang:kernel")
    assert wait_for(lambda: any("qemu-system" in line for line in processes_of(cli.home)))
    time.sleep(2.0)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    assert wait_for(lambda: not processes_of(cli.home)), processes_of(cli.home)
    run = cli("runs", "show", "--json").json
    assert run["verdict"] is None
    assert "unfinished" in cli("runs").out
    assert cli("boot", "e300", "--json").code == 0


def test_a_second_boot_of_the_same_board_is_refused(cli: Cli) -> None:
    process = cli.popen("boot", "e300", "--append", "play=hang:kernel")
    assert wait_for(lambda: any("qemu-system" in line for line in processes_of(cli.home)))
    second = boot(cli)
    assert second.code == 10
    assert "held by" in second.json["cause"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)


def test_no_password_in_anything_that_is_kept(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    status = cli("twin", "status", "--json").json
    password = Path(status["bmc"]["password_file"]).read_text().strip()
    assert len(password) >= 12
    body = boot(cli).json
    for path in Path(body["folder"]).rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path
    assert not any(password in line for line in processes_of(cli.home))
    assert cli("twin", "status", "--json").json["up"] is True


class TestBadInput:
    def test_unknown_board(self, cli: Cli) -> None:
        outcome = cli("boot", "e30")
        assert outcome.code == 2
        assert "did you mean e300" in outcome.err

    def test_missing_image(self, cli: Cli) -> None:
        outcome = cli("boot", "e300", "/nowhere/kernel")
        assert outcome.code == 2
        assert "/nowhere/kernel" in outcome.err

    def test_corrupt_image(self, cli: Cli, tmp_path: Path) -> None:
        kernel, module = tmp_path / "kernel", tmp_path / "module"
        kernel.write_bytes(b"\x7fELF" + bytes(100))
        module.write_bytes(b"x" * 100)
        outcome = cli("boot", "e300", str(kernel), str(module))
        assert outcome.code == 11, outcome.err
        assert not (cli.home / "state" / "runs").exists()
        assert not processes_of(cli.home)

    def test_broken_lab_file(self, cli: Cli) -> None:
        (cli.folder / "lab.toml").write_text("[boards.e300\n")
        outcome = cli("boot", "e300")
        assert outcome.code == 12
        assert "lab.toml:1" in outcome.err

    def test_unreachable_bmc(self, cli: Cli) -> None:
        self.lab(cli, port=9)
        outcome = cli("power", "far", "status")
        assert outcome.code == 10
        assert "127.0.0.1" in outcome.err

    @staticmethod
    def lab(cli: Cli, port: int) -> None:
        (cli.folder / "password").write_text("secret")
        (cli.folder / "password").chmod(0o600)
        (cli.folder / "lab.toml").write_text(
            "[boards.far]\nprofile = 'supermicro-e300-9d'\nmacs = ['52:54:00:00:00:01']\n"
            f"bmc = {{ address = '127.0.0.1', port = {port}, user = 'ADMIN', "
            "password = { file = 'password' } }\n"
        )


def test_a_console_that_is_away_for_a_while_leaves_a_mark(cli: Cli) -> None:
    """The BMC stops for some seconds in a long boot: the loss is shown, and the boot still judged."""
    assert cli("twin", "up").code == 0
    bmc = cli("twin", "status", "--json").json["pid"]
    process = cli.popen("boot", "e300", "--json", "--append", "play=flood:6000")
    logs = cli.home / "state" / "runs"
    assert wait_for(lambda: any(b"flood 0" in path.read_bytes() for path in logs.glob("*/console.log")))
    os.kill(bmc, signal.SIGSTOP)
    time.sleep(12)
    os.kill(bmc, signal.SIGCONT)
    out, err = process.communicate(timeout=PATIENCE_S)
    body = json.loads(out)
    assert body["verdict"] == "ok", out + err
    log = (Path(body["folder"]) / "console.log").read_text(errors="replace")
    assert re.search(r"^-- SOL lost \d+\.\d s --$", log, re.MULTILINE), log[-2000:]
    events = (Path(body["folder"]) / "events.ndjson").read_text()
    assert '"console.lost"' in events
    assert '"console.gap"' in events


def test_a_second_interrupt_does_not_leave_the_override_set(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    process = cli.popen("boot", "e300", "--json", "--append", "play=hang:kernel")
    events = cli.home / "state" / "runs"
    assert wait_for(
        lambda: any(b"override.read" in p.read_bytes() for p in events.glob("*/events.ndjson")), 30
    )
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "no boot override is set" in json.loads(out)["cause"]
    status = cli("twin", "status", "--json").json["bmc"]
    where = [
        "-H",
        status["address"],
        "-p",
        str(status["port"]),
        "-U",
        status["user"],
        "-f",
        status["password_file"],
    ]
    flags = subprocess.run(
        ["ipmitool", "-I", "lanplus", *where, "chassis", "bootparam", "get", "5"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Boot Flag Invalid" in flags.stdout, flags.stdout


def test_a_board_that_goes_off_is_not_taken_for_a_slow_one(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    process = cli.popen("boot", "e300", "--json", "--append", "play=quiet:60")
    logs = cli.home / "state" / "runs"
    assert wait_for(lambda: any(b"SeaBIOS" in path.read_bytes() for path in logs.glob("*/console.log")))
    assert cli("power", "e300", "off", "--force").code == 0
    out, err = process.communicate(timeout=PATIENCE_S)
    body = json.loads(out)
    assert (process.returncode, body["verdict"]) == (10, "lab"), err
    assert "went off while it was booting" in body["cause"]


def test_an_image_that_changes_during_the_boot_is_the_images_fault(cli: Cli, tmp_path: Path) -> None:
    from bringup.image.standin import standin_kernel

    kernel, module = tmp_path / "kernel", tmp_path / "module"
    kernel.write_bytes(standin_kernel().read_bytes())
    module.write_bytes(os.urandom(100_000))
    process = cli.popen("boot", "e300", str(kernel), str(module), "--json")
    logs = cli.home / "state" / "runs"
    assert wait_for(lambda: any(b"SeaBIOS" in path.read_bytes() for path in logs.glob("*/console.log")))
    module.write_bytes(bytes(100_000))
    out, err = process.communicate(timeout=PATIENCE_S)
    body = json.loads(out)
    assert (process.returncode, body["verdict"]) == (11, "image"), err
    assert "changed since the boot was prepared" in body["cause"]


def test_a_full_disk_is_told_and_ends_the_boot(cli: Cli) -> None:
    cli.home.mkdir()
    # Once the board is on, however long that takes here.
    seen = 'grep -qs power.action "$0"/state/runs/*/events.ndjson'
    on = f"for _ in $(seq 600); do {seen} && break; sleep 0.1; done"
    fill = f'({on}; cat /dev/zero > "$0/pad") 2>/dev/null & exec "$@"'
    mount = f'mount -t tmpfs -o size=4m none "$0" && {{ {fill}; }}'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(cli.home))
    outcome = cli("boot", "e300", "--json", "--append", "play=flood:4000", prefix=prefix)
    assert outcome.code == 10, outcome.out + outcome.err
    assert "cannot write" in outcome.json["cause"]


def test_a_home_that_is_not_ones_own_is_refused(cli: Cli) -> None:
    outcome = cli("runs", "--json", BRINGUP_HOME="/proc")
    assert outcome.code == 10
    assert "BRINGUP_HOME" in outcome.json["hint"]


def test_a_reader_that_goes_away_is_no_failure(cli: Cli) -> None:
    command = f"{sys.executable} -m bringup boards show e300 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=cli.environment, cwd=cli.folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_wrong_usage_is_json_too(cli: Cli) -> None:
    outcome = cli("boot", "--json")
    assert (outcome.code, outcome.json["verdict"]) == (2, "usage")


def test_a_twin_that_is_killed_is_not_taken_for_a_slow_board(cli: Cli) -> None:
    assert cli("twin", "up").code == 0
    twin = cli("twin", "status", "--json").json["pid"]
    process = cli.popen("boot", "e300", "--json", "--append", "play=quiet:60")
    logs = cli.home / "state" / "runs"
    assert wait_for(lambda: any(b'"watch"' in path.read_bytes() for path in logs.glob("*/events.ndjson")))
    os.kill(twin, signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE_S)
    body = json.loads(out)
    assert (process.returncode, body["verdict"]) == (10, "lab"), err
    assert "was ended while it was booting" in body["cause"]
    assert_nothing_left(cli.home)
