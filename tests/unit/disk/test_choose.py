"""Which disk may be taken: each way of hitting the wrong one is refused, in a sentence that says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import BringupError, LabError, UsageError
from bringup.disk.choose import Disk, Wish, choose, rivals_words, wish_for
from bringup.disk.contents import Contents, Found, Kind
from bringup.profile.model import Fact, Storage

GIB = 1 << 30
SATA = Disk(
    *("sda", "pci-0000:00:17.0-ata-1", 64 * GIB),
    model="SuperDOM 64G",
    serial="SMC0515D",
    wwn="naa.5000c500a1b2c3d4",
)
NVME = Disk("nvme0n1", "pci-0000:05:00.0-nvme-1", 256 * GIB, model="Samsung 970", serial="S4EWNX0M")
OURS = Contents((Found(Kind.OURS),))
WISH = Wish(least_bytes=3 * GIB)


def foreign(*kinds: Kind) -> Contents:
    return Contents(tuple(Found(kind) for kind in kinds))


def test_the_only_disk_that_is_empty_or_ours_is_taken() -> None:
    assert choose([SATA], WISH) is SATA
    again = replace(SATA, contents=OURS)
    assert choose([again], WISH) is again
    other = replace(NVME, contents=foreign(Kind.GPT))
    assert choose([other, SATA], WISH) is SATA


@pytest.mark.parametrize(
    "name",
    [
        *("SMC0515D", "pci-0000:00:17.0-ata-1"),
        *("naa.5000c500a1b2c3d4", "0x5000c500a1b2c3d4", "5000C500A1B2C3D4", "0x5000C500A1B2C3D4"),
    ],
)
def test_a_disk_is_named_by_serial_wwn_or_path(name: str) -> None:
    assert choose([NVME, SATA], replace(WISH, named=name)) is SATA


def test_another_disk_with_slots_is_told_of() -> None:
    """The board may start that one (fedora-coreos-tracker#976): nothing on the disk written decides it."""
    ours = replace(SATA, contents=OURS)
    assert rivals_words([NVME, ours], ours) is None
    words = rivals_words([replace(NVME, contents=OURS), ours], ours)
    assert words is not None
    assert str(NVME) in words
    assert f"should be {ours}" in words


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_same_as_none(name: str) -> None:
    """It is what `--disk "$DISK"` says in a script that forgot to set it."""
    with pytest.raises(UsageError, match="name of the disk is empty"):
        choose([SATA], replace(WISH, named=name))


@pytest.mark.parametrize("name", ["sda", "/dev/sda", "nvme0n1", "vda"])
def test_the_kernels_names_are_no_names(name: str) -> None:
    """Names swap between boots: what was sda then is another disk now."""
    with pytest.raises(UsageError, match="means another one after the next start"):
        choose([NVME, SATA], replace(WISH, named=name))


def test_names_that_swap_between_boots_change_nothing() -> None:
    wish = replace(WISH, named="SMC0515D")
    swapped = [replace(NVME, name="sda"), replace(SATA, name="sdb")]
    assert choose(swapped, wish).identity == choose([NVME, SATA], wish).identity


def test_two_disks_that_fit_are_not_chosen_between() -> None:
    with pytest.raises(UsageError, match=r"2 disks fit.*SMC0515D.*S4EWNX0M") as caught:
        choose([SATA, NVME], WISH)
    assert caught.value.hint == "--disk SMC0515D, or another of 2"


def test_two_equal_disks_are_refused_also_when_they_are_named() -> None:
    twin = replace(SATA, name="sdb", path="pci-0000:00:17.0-ata-2", wwn="")
    with pytest.raises(LabError, match=r"no disk fits.*same serial or WWN, at pci-0000:00:17.0-ata-2"):
        choose([SATA, twin], WISH)
    with pytest.raises(UsageError, match="2 disks are called SMC0515D") as caught:
        choose([SATA, twin], replace(WISH, named="SMC0515D"))
    assert caught.value.hint == "which is which cannot be told: take one of them out"
    with pytest.raises(LabError, match="which is which cannot be told"):
        choose([SATA, twin], replace(WISH, named=SATA.path))


@pytest.mark.parametrize("serial", ["smc0515d", "SMC0515D\u00a0", " SMC 0515D"])
def test_serials_that_differ_in_case_or_blanks_alone_are_the_same(serial: str) -> None:
    twin = replace(SATA, name="sdb", path="pci-0000:00:17.0-ata-2", wwn="", serial=serial)
    for named in (None, "SMC0515D", SATA.path):
        with pytest.raises((LabError, UsageError), match=r"which is which cannot be told|2 disks are called"):
            choose([SATA, twin], replace(WISH, named=named))


def test_a_disk_without_a_serial_is_called_by_no_name_of_blanks() -> None:
    with pytest.raises(UsageError, match="no disk is called"):
        choose([replace(SATA, serial="", wwn="")], replace(WISH, named="_"))


def test_colliding_wwns_are_refused() -> None:
    twin = replace(NVME, wwn="0x5000C500A1B2C3D4")
    with pytest.raises(LabError, match="same serial or WWN"):
        choose([SATA, twin], replace(WISH, named="SMC0515D"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"uses": ("/ is mounted from its partition 2",)}, "in use: / is mounted from its partition 2"),
        ({"size_bytes": 2 * GIB}, "it has 2048 MiB, and 3072 MiB are needed"),
        ({"read_only": True}, "it is read-only"),
        ({"sector_bytes": 4096}, "BIOS cannot start from; UEFI can"),
        ({"sector_bytes": 520}, "its sectors have 520 bytes"),
    ],
)
@pytest.mark.parametrize("named", [None, "SMC0515D"])
def test_a_disk_that_cannot_be_used_is_refused_whoever_names_it(
    changes: dict[str, object], sentence: str, named: str | None
) -> None:
    with pytest.raises(LabError, match=sentence) as told:
        choose([replace(SATA, **changes)], replace(WISH, named=named))  # type: ignore[arg-type]
    way_on = "--firmware uefi, or another disk" if "UEFI can" in sentence else "no disk of this board"
    assert str(told.value.hint).startswith(way_on)


@pytest.mark.parametrize("kind", [Kind.LVM, Kind.RAID, Kind.ZFS, Kind.CRYPT, Kind.FILESYSTEM, Kind.UNKNOWN])
def test_what_others_left_on_a_disk_is_overwritten_only_when_it_is_named(kind: Kind) -> None:
    disk = replace(SATA, contents=foreign(kind))
    with pytest.raises(LabError, match=f"it holds {kind}, and is taken only when it is named") as caught:
        choose([disk], WISH)
    assert caught.value.hint == "--disk SMC0515D"
    assert choose([disk], replace(WISH, named="SMC0515D")) is disk


def test_a_place_that_stands_in_the_lab_file_is_no_word_on_the_disk_that_is_there_now() -> None:
    foreign = replace(SATA, contents=Contents((Found(Kind.LVM),)))
    standing = replace(WISH, named=SATA.path.upper(), standing=True)
    with pytest.raises(
        LabError, match=r"it holds LVM physical volume, and lab\.toml names its place"
    ) as told:
        choose([foreign], standing)
    assert told.value.hint == "--disk SMC0515D"
    assert choose([NVME, SATA], standing) is SATA
    for wish in (replace(standing, standing=False), replace(standing, named="SMC0515D")):
        assert choose([NVME, foreign], wish) is foreign, (
            "named by whoever looked, or by what is the disk's own"
        )


def test_a_removable_disk_is_taken_only_when_it_is_named() -> None:
    stick = replace(SATA, removable=True)
    with pytest.raises(LabError, match="removable, and taken only when it is named"):
        choose([stick], WISH)
    assert choose([stick], replace(WISH, named=stick.path)) is stick


def test_a_stick_that_says_it_is_not_removable_is_taken_only_when_it_or_its_place_is_named() -> None:
    stick = replace(SATA, path="pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0")
    with pytest.raises(LabError, match="on USB, and taken only when it is named"):
        choose([stick], WISH)
    full = replace(NVME, contents=foreign(Kind.GPT))
    with pytest.raises(LabError, match="no disk fits"):
        choose([full, stick], WISH)
    for wish in (replace(WISH, named="SMC0515D"), replace(WISH, fits_path="*-usb-0:1:*")):
        assert choose([stick], wish) is stick


@pytest.mark.parametrize(
    "name",
    [
        *("SMC0515D", "smc0515d", "SMC0515D ", "SMC 0515D", "SMC_0515D"),
        *("0x5000c500a1b2c3d4", "wwn-0x5000c500a1b2c3d4", "50:00:C5:00:A1:B2:C3:D4", "5000 C500 A1B2 C3D4"),
    ],
)
def test_the_disk_of_another_board_is_refused_also_when_it_is_named(name: str) -> None:
    for named in (None, "SMC0515D"):
        wish = replace(WISH, named=named, other_boards={name: "shelf-7"})
        with pytest.raises(LabError, match=r"lab\.toml says that it is the disk of shelf-7"):
            choose([SATA], wish)


def test_the_profile_says_where_the_disk_is() -> None:
    assert choose([SATA, NVME], replace(WISH, fits_path="pci-0000:05:*")) is NVME
    assert choose([SATA, NVME], replace(WISH, fits_model="SuperDOM*")) is SATA
    with pytest.raises(LabError, match="it is not at pci-0000:99"):
        choose([SATA], replace(WISH, fits_path="pci-0000:99:*"))


def test_a_profile_is_asked_where_its_disk_is() -> None:
    storage = Storage(path=Fact(value="pci-0000:05:*", grade="INF", source="dmi"))
    wish = wish_for(storage, 3 * GIB, named=None, bios=True, other_boards={"X": "b"})
    assert wish == replace(WISH, fits_path="pci-0000:05:*", other_boards={"X": "b"})
    assert wish_for(Storage(), 3 * GIB, named=None, bios=True) == WISH


def test_no_disk_at_all_is_the_labs_fault() -> None:
    with pytest.raises(LabError, match="the board shows no disk"):
        choose([], WISH)
    with pytest.raises(UsageError, match="no disk is called X"):
        choose([SATA], replace(WISH, named="X"))


DISKS = st.builds(
    Disk,
    name=st.just("sda"),
    path=st.sampled_from(["a", "b", "c"]),
    size_bytes=st.sampled_from([GIB, 4 * GIB]),
    serial=st.sampled_from(["", "s1", "s2"]),
    wwn=st.sampled_from(["", "naa.5", "0x5"]),
    removable=st.booleans(),
    uses=st.sampled_from([(), ("mounted",)]),
    contents=st.sampled_from([Contents(), OURS, foreign(Kind.LVM)]),
)


@given(st.lists(DISKS, max_size=4), st.sampled_from([None, "s1", "naa.5", "a"]))
def test_what_is_taken_is_never_in_use_too_small_foreign_unasked_or_one_of_two(
    disks: list[Disk], named: str | None
) -> None:
    try:
        disk = choose(disks, replace(WISH, named=named))
    except BringupError as error:
        assert error.hint
        return
    assert not disk.uses
    assert disk.size_bytes >= WISH.least_bytes
    assert named or disk.contents.is_empty or disk.contents.is_ours
    assert not disk.serial or [each.serial for each in disks].count(disk.serial) == 1
