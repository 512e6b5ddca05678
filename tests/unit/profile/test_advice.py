"""Advice on firmware settings: the profile's words where it has them, neutral ones elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from bringup.base.errors import ProfileError
from bringup.profile.advice import NEUTRAL, BoardWords, Topic
from bringup.profile.load import load_profile
from bringup.transcript.failures.table import FAILURES, GARBAGE
from tests import places

VTX = "BIOS: Advanced > CPU Configuration > Intel Virtualization Technology = Enable"


def test_every_topic_has_neutral_words_that_name_no_menu() -> None:
    assert set(NEUTRAL) == set(get_args(Topic))
    for sentence in NEUTRAL.values():
        assert sentence.startswith("firmware setup: ")
        assert " > " not in sentence
        assert " = " not in sentence


def test_a_profile_tells_its_own_menu_name_and_value() -> None:
    bios = load_profile("supermicro-e300-9d").bios
    assert bios.advice("vt-x") == VTX
    assert bios.advice("boot-mode") == "BIOS: Boot > Boot mode select = Legacy or UEFI, as planned"
    assert bios.advice("legacy-boot") == "BIOS: Boot > Boot mode select = Legacy"


def test_what_a_profile_does_not_know_is_told_neutrally() -> None:
    # The names of the plain E300-9D's LAN settings were not read; its sibling's were.
    assert load_profile("supermicro-e300-9d").bios.advice("network-boot") == NEUTRAL["network-boot"]
    assert "Onboard LAN1 Option ROM = PXE" in load_profile("supermicro-e300-9d-4cn8tp").bios.advice(
        "network-boot"
    )
    assert load_profile("generic-ipmi-x86").bios.advice("vt-x") == NEUTRAL["vt-x"]
    assert "--engine bochs" in load_profile("twin-e300-9d").bios.advice("vt-x")


def test_texts_are_filled_with_a_boards_words() -> None:
    words = load_profile("supermicro-e300-9d").words(0x3F8)
    assert words.fill("{advice:vt-x}; console_port={console_port}") == f"{VTX}; console_port=0x3f8"
    assert words.fill("nothing to fill") == "nothing to fill"


def test_without_a_profile_texts_stay_readable() -> None:
    assert BoardWords().fill("{advice:vt-x}; {console_port}") == f"{NEUTRAL['vt-x']}; PORT"


def test_a_topic_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        BoardWords().fill("{advice:vtx}")


def test_every_failure_can_be_filled_and_names_no_menu_of_one_board() -> None:
    for row in (*FAILURES, GARBAGE):
        assert BoardWords().fill(row.fix), row.code
        for plain in (row.cause, row.why):
            assert not [name for _, name, _, _ in Formatter().parse(plain) if name], row.code


def test_no_menu_of_a_board_is_left_in_the_code() -> None:
    """Names of settings belong to boards/*.toml; rules and causes ask for a topic."""
    names = {setting.name for setting in load_profile("supermicro-e300-9d-4cn8tp").bios.settings}
    rooms = ("transcript", "boot", "image", "netboot", "profile", "report", "cli")
    for room in rooms:
        for path in sorted((places.CHECKOUT / "bringup" / room).rglob("*.py")):
            text = re.sub(r'#.*|"""(?:.|\n)*?"""', "", path.read_text(encoding="utf-8"))
            assert not [name for name in names if f"{name} =" in text], path


def test_two_settings_on_one_topic_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "supermicro-e300-9d"\n'
        "[[bios.lan_settings]]\n"
        'menu = "Boot"\nname = "Other"\nwanted = "On"\nwhy = "it is"\nadvice = { vt-x = "On" }\n'
    )
    with pytest.raises(ProfileError, match='"Intel Virtualization Technology" and "Other" both have advice'):
        load_profile(path)
