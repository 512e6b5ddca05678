"""lab.toml: what it may say, how mistakes in it are told, and which file counts."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path

import pytest

from bringup.base.errors import LabError, ProfileError, UsageError
from bringup.boot.place import segment_of
from bringup.lab.find import load_lab
from bringup.lab.inventory import BmcAccess, Lab
from bringup.lab.network import Network

BMC = 'bmc = { address = "10.0.0.17", user = "ADMIN", password = { env = "E300_PASSWORD" } }\n'
ENV = '{ env = "E300_PASSWORD" }'
MACS = 'macs = ["ac:1f:6b:0e:30:16", "AC-1F-6B-0E-30-17"]\n'
BOARD = '[boards.e300-1]\nprofile = "supermicro-e300-9d"\n' + MACS + BMC
NETWORK = '[boards.e300-1.network]\ninterface = "enp3s0"\nmode = "own-segment"\naddress = "192.168.77.1/24"\n'
SECOND = BOARD.replace("e300-1", "e300-2").replace("0.17", "0.18").replace("6b:0e", "6b:0f")
SECOND = SECOND.replace("6B-0E", "6B-0F")
OWN = NETWORK + 'board_address = "192.168.77.30"\n'

pytestmark = pytest.mark.usefixtures("home")


def lab_of(folder: Path, text: str) -> Lab:
    (folder / "lab.toml").write_text(text)
    return load_lab(folder / "lab.toml")


def test_boards_with_all_of_their_own_know_each_other_s_macs(tmp_path: Path) -> None:
    ported = SECOND.replace('"10.0.0.18"', '"10.0.0.17", port = 624')  # several BMCs behind one forwarder
    lab = lab_of(tmp_path, BOARD + OWN + ported)
    assert dict(lab.board("e300-1").neighbours) == {
        "ac:1f:6b:0f:30:16": "e300-2",
        "ac:1f:6b:0f:30:17": "e300-2",
    }


def test_without_a_lab_file_the_board_is_the_twin(in_folder: Path) -> None:
    lab = load_lab()
    assert lab.is_builtin
    board = lab.board("e300")
    assert (board.twin, board.bmc, board.network, board.serial) == (True, None, None, "sol")
    assert board.profile.virtual


def test_a_whole_lab_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = 'boot_mac = "ac:1f:6b:0e:30:17"\nbaud = 9600\nconsole2 = "/dev/ttyUSB1"\n'
    text = '[lab]\nruns = "runs"\n' + BOARD + more + OWN
    lab = lab_of(tmp_path, text + "[boards.virtual]\ntwin = true\n")
    assert not lab.is_builtin
    assert lab.runs_folder == tmp_path / "runs"
    board = lab.board("e300-1")
    assert board.macs == ("ac:1f:6b:0e:30:16", "ac:1f:6b:0e:30:17")
    assert (board.boot_mac, board.baud, board.serial, board.power) == (
        "ac:1f:6b:0e:30:17",
        9600,
        "sol",
        "ipmi",
    )
    assert (board.console2, board.second_port) == ("/dev/ttyUSB1", "COM1")
    assert isinstance(board.bmc, BmcAccess)
    assert (board.bmc.address, board.bmc.port, board.bmc.user) == ("10.0.0.17", 623, "ADMIN")
    assert board.network == Network("enp3s0", "own-segment", "192.168.77.1/24", "192.168.77.30")
    assert board.profile.serial.sol_port.value == 0x2F8
    assert lab.board("virtual").profile_name == "twin-e300-9d"
    monkeypatch.setenv("E300_PASSWORD", "hunter2-Zx")
    assert board.bmc.password.reveal() == "hunter2-Zx"
    assert "hunter2" not in repr(lab) + json.dumps(board.to_dict())
    assert board.to_dict()["bmc"]["password_from"] == "environment variable E300_PASSWORD"


def test_the_first_mac_boots_unless_said(tmp_path: Path) -> None:
    assert lab_of(tmp_path, BOARD).board("e300-1").boot_mac == "ac:1f:6b:0e:30:16"


@pytest.mark.parametrize("reference", ['{ file = "secret" }', '{ command = ["cat", "SECRET"] }'])
def test_passwords_by_file_and_command(tmp_path: Path, reference: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2-Zx\n")
    secret.chmod(0o600)
    reference = reference.replace("SECRET", str(secret))
    lab = lab_of(tmp_path, BOARD.replace(ENV, reference))
    bmc = lab.board("e300-1").bmc
    assert bmc is not None
    assert bmc.password.reveal() == "hunter2-Zx"


def test_a_password_that_cannot_be_had_is_told_when_used(tmp_path: Path) -> None:
    bmc = lab_of(tmp_path, BOARD).board("e300-1").bmc
    assert bmc is not None
    with pytest.raises(LabError, match="E300_PASSWORD"):
        bmc.password.reveal()


B = "`boards.e300-1"
PLAIN = "a password does not belong into this file; write password = "


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("", 1, "the top of the file has no `boards`"),
        ("boards = {}\n", 1, "`boards`: expected at least one entry"),
        ("[board.x]\n", 1, "unknown key `board` in the top of the file; did you mean `boards`?"),
        ('[boards."a/b"]\ntwin = true\n', 1, '`boards.a/b` is "a/b" (a text): a board\'s name is at most 32'),
        (BOARD + "macz = 1\n", 5, "unknown key `macz` in [boards.e300-1]; did you mean `macs`?"),
        (BOARD.replace(BMC, ""), 1, B + "`: a board that is not a twin needs `bmc`"),
        (BOARD.replace(MACS, ""), 1, B + "`: a board that is not a twin needs `macs`"),
        (BOARD.replace("-9d", "-9x"), 2, 'there is no profile "supermicro-e300-9x"; did you mean'),
        (BOARD.replace("supermicro-e300-9d", "./x.toml"), 2, "there is no profile file "),
        (BOARD.replace("0e:30:16", "0e:30"), 3, B + '.macs[0]` is "ac:1f:6b:0e:30" (a text): expected a MAC'),
        (
            BOARD.replace("AC-1F", "AD-1F"),
            3,
            B + '.macs[1]` is "AD-1F-6B-0E-30-17" (a text): this is a multicast',
        ),
        (BOARD.replace("0E-30-17", "0E-30-16"), 1, B + "`: `macs` has the same address twice"),
        (BOARD + 'boot_mac = "00:00:00:00:00:01"', 1, B + "`: `boot_mac` is not one of `macs`"),
        (BOARD + 'serial = "COM1"\n', 5, B + '.serial` is "COM1" (a text): expected "sol", a device'),
        (BOARD + "power = 3\n", 5, B + '.power` is 3: expected the name of a driver, such as "ipmi", or a'),
        (BOARD + "power = { driver = 3 }\n", 5, B + ".power.driver` is 3: expected a text in quotes"),
        (BOARD + "baud = 1\n", 5, B + ".baud` is 1: expected at least 300"),
        (
            BOARD.replace('user = "ADMIN"', f'user = "{"x" * 17}"'),
            4,
            B + '.bmc.user` is "xxxxxxxxxxxxxxxxx" (a text): expected at most 16 characters',
        ),
        (BOARD.replace('user = "ADMIN", ', ""), 4, "[boards.e300-1.bmc] has no `user`"),
        (
            BOARD.replace("10.0.0.17", "10.0.0.17; rm"),
            4,
            B + '.bmc.address` is "10.0.0.17; rm" (a text): expected a host',
        ),
        (BOARD.replace('"ADMIN"', '"ADMIN", port = 0'), 4, B + ".bmc.port` is 0: expected at least 1"),
        (BOARD.replace(ENV, "{ }"), 4, B + ".bmc.password`: expected exactly one of env"),
        (
            BOARD.replace("{ env =", '{ file = "x", env ='),
            4,
            B + ".bmc.password`: expected exactly one of env",
        ),
        (BOARD + NETWORK, 5, B + ".network`: `board_address` is needed on an own segment"),
        (
            BOARD + OWN.replace("77.30", "78.30"),
            5,
            B + ".network`: `board_address` 192.168.78.30 is not a free address of",
        ),
        (
            BOARD + OWN.replace("77.30", "77.1"),
            5,
            B + ".network`: `board_address` 192.168.77.1 is not a free address of",
        ),
        (BOARD + OWN.replace("77.30", "77.255"), 5, B + ".network`: `board_address` 192.168.77.255 is not"),
        (
            BOARD + OWN.replace("own-segment", "proxy"),
            5,
            B + ".network`: `board_address` has no effect in proxy mode",
        ),
        (
            BOARD + OWN.replace("own-segment", "dhcp"),
            7,
            B + '.network.mode` is "dhcp" (a text): expected one of "own-segment" or "proxy"',
        ),
        (
            BOARD + OWN.replace(".1/24", ".1"),
            8,
            B + '.network.address` is "192.168.77.1" (a text): expected an IPv4',
        ),
        (
            BOARD + OWN.replace("enp3s0", "en p3;"),
            6,
            B + '.network.interface` is "en p3;" (a text): expected the name',
        ),
        ("[boards.v]\ntwin = true\nconsole_port = 0x3f8\n", 1, "`boards.v`: `console_port` does not go with"),
        ('[boards.v]\ntwin = true\nconsole2 = "/dev/ttyS1"\n', 1, "`boards.v`: `console2` does not go with"),
        (BOARD + 'console2 = "sol"\n', 5, B + '.console2` is "sol" (a text): expected a device'),
        (
            '[boards.v]\ntwin = true\nprofile = "supermicro-e300-9d"\n',
            3,
            "this board is a twin, and profile supermicro-e300-9d is that of a real board",
        ),
        ("[boards.v]\ntwin = true\n" + MACS, 1, "`boards.v`: `macs` does not go with `twin = true`"),
        (BOARD + BOARD.replace("e300-1", "e300-2"), 7, "ac:1f:6b:0e:30:16 is a MAC of e300-1 already"),
        (
            BOARD + SECOND.replace("10.0.0.18", "10.0.0.17"),
            8,
            "10.0.0.17 is the BMC address of e300-1 already",
        ),
        (
            BOARD.replace("10.0.0.17", "BMC-1") + SECOND.replace("10.0.0.18", "bmc-1"),
            8,
            "bmc-1 is the BMC address of e300-1 already",
        ),
        (
            BOARD + OWN + SECOND + OWN.replace("e300-1", "e300-2").replace("enp3s0", "enp4s0"),
            18,
            "192.168.77.30 is the `board_address` of e300-1 already",
        ),
        (
            BOARD + 'disk = "S1"\n' + SECOND + 'disk = "s1"\n',
            10,
            "s1 is the disk of e300-1 already",
        ),
        ("[boards.x]\n[boards.x]\n", 2, "not valid TOML: cannot declare"),
    ],
)
def test_mistakes_are_told_by_line(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    with pytest.raises(ProfileError) as caught:
        lab_of(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path / 'lab.toml'}:{line}: {sentence}")


@pytest.mark.parametrize(
    "wrong",
    [
        BOARD.replace(ENV, '"hunter2-Zx"'),
        BOARD.replace(ENV, '{ value = "hunter2-Zx" }'),
        BOARD.replace(ENV, '["hunter2-Zx"]'),
        BOARD.replace('env = "E300_PASSWORD"', 'command = "echo hunter2-Zx"'),
        BOARD.replace('env = "E300_PASSWORD"', 'env = "", file = "hunter2-Zx"'),
        BOARD.replace("password", "passwort").replace('{ env = "E300_PASSWORD" }', '"hunter2-Zx"'),
        BOARD.replace(BMC, 'bmc = "ADMIN:hunter2-Zx@10.0.0.17"\n'),
        BOARD + 'bmc.password = "hunter2-Zx"\n',
    ],
)
def test_a_plain_password_is_refused_and_never_quoted(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ProfileError) as caught:
        lab_of(tmp_path, wrong)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.hint)
    assert "hunter2" not in shown
    assert f"{tmp_path / 'lab.toml'}:" in caught.value.message


def test_a_plain_password_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        lab_of(tmp_path, BOARD.replace(ENV, '"hunter2-Zx"'))
    assert caught.value.message.startswith(
        f"{tmp_path / 'lab.toml'}:4: `boards.e300-1.bmc.password`: {PLAIN}{{ env = "
    )


def test_an_unknown_board_names_the_near_one(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, BOARD)
    with pytest.raises(UsageError) as caught:
        lab.board("e300-2")
    assert "no board e300-2 in this lab" in caught.value.message
    assert "did you mean e300-1?" in caught.value.message
    assert caught.value.hint == "boards: e300-1"


def test_the_lab_file_is_looked_for_upwards(in_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(BOARD)
    assert load_lab().file == tmp_path / "lab.toml"
    (in_folder / "lab.toml").write_text(BOARD.replace("e300-1", "near"))
    assert list(load_lab().boards) == ["near"]
    assert list(load_lab(tmp_path).boards) == ["e300-1"]


def test_the_variable_comes_before_the_folder(
    in_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_folder / "lab.toml").write_text(BOARD)
    other = tmp_path / "other.toml"
    other.write_text(BOARD.replace("e300-1", "other"))
    monkeypatch.setenv("BRINGUP_LAB", str(other))
    assert list(load_lab().boards) == ["other"]
    assert list(load_lab(in_folder / "lab.toml").boards) == ["e300-1"]
    monkeypatch.setenv("BRINGUP_LAB", str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"there is no lab file .*none\.toml"):
        load_lab()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_lab_file_counts_only_when_asked_for(
    in_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(BOARD)
    os.chown(path, 12345, 12345)
    with pytest.raises(UsageError) as caught:
        load_lab()
    assert "belongs to another user (id 12345)" in caught.value.message
    assert caught.value.hint == f"if you trust it: --lab {path}"
    assert "e300-1" in load_lab(path).boards
    monkeypatch.setenv("SUDO_UID", "12345")
    assert "e300-1" in load_lab().boards


@pytest.mark.parametrize("mode", [0o646, 0o666, 0o602])
def test_a_lab_file_that_anybody_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(BOARD)
    path.chmod(mode)
    with pytest.raises(UsageError, match="can be changed by anybody") as caught:
        load_lab(path)
    assert caught.value.hint == f"chmod go-w {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a group")
def test_a_group_of_others_may_not_change_it(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(BOARD)
    path.chmod(0o664)
    os.chown(path, 0, 65534)
    with pytest.raises(UsageError, match="can be changed by group 65534"):
        load_lab(path)
    os.chown(path, 0, 0)  # the owner's own group, where nobody else is
    assert "e300-1" in load_lab(path).boards


def test_a_labs_own_profiles(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "ours.toml").write_text('extends = "supermicro-e300-9d"\ntitle = "Ours"\n')
    (tmp_path / "theirs.toml").write_text('extends = "ours"\nsummary = "Theirs"\n')
    lab = lab_of(tmp_path, BOARD.replace("supermicro-e300-9d", "ours"))
    assert lab.board("e300-1").profile.title == "Ours"
    lab = lab_of(tmp_path, BOARD.replace("supermicro-e300-9d", "./theirs.toml"))
    theirs = lab.board("e300-1").profile
    assert (theirs.title, theirs.summary) == ("Ours", "Theirs")


@pytest.mark.parametrize("named", [True, False])
def test_pipe_or_device_in_place_of_the_lab_file_is_told_and_no_twin_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "lab.toml"
    os.mkfifo(path, 0o600)
    with pytest.raises(ProfileError, match="not a regular file"):
        load_lab(path if named else None)
    path.unlink()
    path.symlink_to("/dev/null")  # anybody may write to it, which is told first
    with pytest.raises(UsageError):
        load_lab(path if named else None)


@pytest.mark.parametrize("target", ["away/lab.toml", "lab.toml"])
def test_a_lab_file_that_is_a_link_to_nothing_is_told(tmp_path: Path, target: str) -> None:
    (tmp_path / "lab.toml").symlink_to(target)
    below = tmp_path / "below"
    below.mkdir()
    for folder in (tmp_path, below):
        with pytest.raises(ProfileError, match=f"is a link to {target}, which is not there") as told:
            load_lab(folder)
        assert told.value.hint is not None and "--lab FILE" in told.value.hint


def test_lab_of_a_simulated_bmc_may_name_the_loopback_but_nothing_is_served_there(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, BOARD + OWN.replace("enp3s0", "lo"))
    board = lab.board("e300-1")
    with pytest.raises(ProfileError, match="served over the loopback"):
        segment_of(board)


def test_a_board_may_say_which_disk_is_its_own_and_the_others_know(tmp_path: Path) -> None:
    text = BOARD + 'disk = "S4EWNX0M"\n' + OWN + '[boards.v]\ntwin = true\ndisk = "pci-0000:00:1f.2-ata-1"\n'
    lab = lab_of(tmp_path, text)
    board, twin = lab.board("e300-1"), lab.board("v")
    assert (board.disk, board.neighbour_disks) == ("S4EWNX0M", {"pci-0000:00:1f.2-ata-1": "v"})
    assert (twin.disk, twin.neighbour_disks) == ("pci-0000:00:1f.2-ata-1", {"S4EWNX0M": "e300-1"})
    assert board.to_dict()["disk"] == "S4EWNX0M"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter everything")
def test_a_folder_that_may_not_be_entered_is_named(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o600)
    try:
        with pytest.raises(ProfileError, match="may not be entered"):
            load_lab(inner)
    finally:
        inner.parent.chmod(0o700)


def test_folders_of_a_home_are_found_from_any_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    lab = lab_of(tmp_path, '[lab]\nruns = "~/runs"\nboards = "~/boards"\n' + BOARD)
    assert lab.runs_folder == Path("/home/me/runs")
    assert lab.profile_folders == (Path("/home/me/boards"),)


@pytest.mark.parametrize("how", ["a link to itself", "below a file", "of an unknown user"])
def test_a_lab_file_that_cannot_be_reached_is_told_in_a_sentence(tmp_path: Path, how: str) -> None:
    loop, file = tmp_path / "loop", tmp_path / "file"
    loop.symlink_to(loop)
    file.write_text("")
    named = {
        "a link to itself": loop,
        "below a file": file / "lab.toml",
        "of an unknown user": Path("~nobody-has-this-name/lab.toml"),
    }[how]
    with pytest.raises(UsageError, match=r"lab file .*(cannot be read|there is no)|there is no lab file"):
        load_lab(named)
