"""Ports of a profile found on machines whose buses moved; the profile a machine fits, or none."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.errors import ProfileError
from bringup.pci.match.board import BoardSigns, board_signs, choose, profile_and_reason
from bringup.pci.match.ports import match_nics
from bringup.pci.model import Bdf, Function, Identity, Machine
from bringup.profile.load import load_profile, profile_names
from bringup.profile.model import Profile
from tests.unit.camkes.passthrough import function, i350, x722

E300 = load_profile("supermicro-e300-9d")
TWIN = load_profile("twin-e300-9d")
GENERIC = load_profile("generic-ipmi-x86")
PROFILES = [load_profile(name) for name in profile_names() if name != GENERIC.name]
SIGNS = board_signs()


def names(functions: list[Function], profile: Profile = E300) -> dict[str, str]:
    return {bdf.short: nic.name for bdf, nic in match_nics(functions, profile).items()}


def test_ports_are_found_where_they_were_seen() -> None:
    functions = [x722("b5:00.0", 0, 0), x722("b5:00.1", 0, 0), i350("17:00.3", 0, 0, 0)]
    assert names(functions) == {
        "b5:00.0": "X722 #1",
        "b5:00.1": "X722 #2",
        "17:00.3": "SLOT7 I350 function 3",
    }


def test_ports_are_found_after_their_bus_moved() -> None:
    functions = [x722("b7:00.0", 0, 0), x722("b7:00.1", 0, 0), i350("18:00.1", 0, 0, 0)]
    assert names(functions) == {
        "b7:00.0": "X722 #1",
        "b7:00.1": "X722 #2",
        "18:00.1": "SLOT7 I350 function 1",
    }


def test_a_card_of_another_maker_at_the_same_place_is_not_it() -> None:
    assert names([function("17:00.0", subsystem=(0x8086, 0x0001))]) == {}
    assert names([function("17:00.0", device=0x1533)]) == {}


def test_a_subsystem_nobody_read_does_not_decide() -> None:
    assert names([function("17:00.0")]) == {"17:00.0": "SLOT7 I350 function 0"}


def test_two_cards_alike_are_told_apart_by_where_one_was_seen_and_else_not_at_all() -> None:
    first, second = i350("17:00.0", 0, 0, 0), i350("18:00.0", 0, 0, 0)
    assert names([first, second]) == {"17:00.0": "SLOT7 I350 function 0"}
    assert names([second, i350("19:00.0", 0, 0, 0)]) == {}


def test_functions_that_are_alike_on_the_twin_are_told_apart_by_place() -> None:
    cards = [function(bdf, device=0x10D3) for bdf in ("17:00.0", "17:00.1", "b5:00.0", "b5:00.1")]
    assert names(cards, TWIN) == {
        "17:00.0": "slot7f0",
        "17:00.1": "slot7f1",
        "b5:00.0": "lan1",
        "b5:00.1": "lan2",
    }


def shown(profile: Profile, board: str | None = None, subsystem: str | None = None) -> Machine:
    """Return a machine with exactly what a profile expects of every unit."""
    functions = []
    for expected in profile.pci.expected:
        vendor, device = (int(part, 16) for part in expected.id.split(":"))
        for _ in range(expected.count):
            bdf = f"00:{len(functions) // 8:02x}.{len(functions) % 8}"
            functions.append(function(bdf, vendor=vendor, device=device, class_code=0x0880))
    if subsystem is not None:
        pair = tuple(int(part, 16) for part in subsystem.split(":"))
        functions.append(function("00:1e.0", vendor=1, device=1, class_code=0x0880, subsystem=pair))
    identity = None if board is None else Identity(baseboard=board)
    return Machine(tuple(functions), identity=identity)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_machine_that_shows_what_a_profile_expects_fits_it_alone(profile: Profile) -> None:
    own = profile.identity.subsystem
    found, why = profile_and_reason(shown(profile, subsystem=own.value if own else None))
    assert found is not None and found.name == profile.name and profile.name in why
    assert profile.identity.baseboard_product is not None
    board = profile.identity.baseboard_product.value
    found_by_name, why = choose(shown(profile, board), SIGNS)
    assert found_by_name == profile.name and board in why


def test_no_machine_is_taken_for_the_profile_of_no_board_in_particular() -> None:
    (signs,) = (signs for signs in SIGNS if signs.name == GENERIC.name)
    assert (signs.baseboard, signs.subsystem, signs.expected) == (None, None, {})
    for machine in (shown(E300), shown(E300, "X10SDV-4C-TLN2F"), Machine((function("00:1f.0"),))):
        assert choose(machine, [signs])[0] is None


def test_no_profile_fits_an_unknown_board_and_it_says_so() -> None:
    found, why = choose(shown(E300, "X10SDV-4C-TLN2F"), SIGNS)
    assert (found, why) == (None, "no profile is of a X10SDV-4C-TLN2F")


def test_no_profile_fits_a_machine_that_lacks_what_every_unit_has() -> None:
    found, why = choose(Machine((function("00:1f.0"),)), SIGNS)
    assert (found, why) == (None, "no profile's ids fit")
    found, why = choose(Machine((), identity=Identity(baseboard="X11SDV-4C-TLN2F")), SIGNS)
    assert found is None and "not all there" in why


def test_of_two_that_fit_none_is_taken() -> None:
    (signs,) = (signs for signs in SIGNS if signs.name == E300.name)
    found, why = choose(shown(E300, subsystem="15d9:0987"), [signs, replace(signs, name="again")])
    assert (found, why) == (None, "several profiles fit: supermicro-e300-9d, again")


def test_the_one_profile_that_fits_is_found_and_else_none() -> None:
    found, _ = profile_and_reason(shown(TWIN))
    assert found is not None and found.name == "twin-e300-9d"
    assert profile_and_reason(Machine((Function(Bdf(0, 0, 0, 0)),)))[0] is None


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_board_is_known_by_what_its_checked_profile_says(profile: Profile) -> None:
    own = profile.identity.subsystem
    assert profile.identity.baseboard_product is not None
    assert (
        BoardSigns(
            profile.name,
            profile.identity.baseboard_product.value,
            None if own is None else own.value,
            {each.id: each.count for each in profile.pci.expected},
        )
        in SIGNS
    )


def test_a_listing_without_ids_fits_no_profile_and_it_says_why() -> None:
    assert choose(Machine((Function(Bdf(0, 0, 0, 0)),)), SIGNS) == (None, "the capture tells no ids")


@pytest.mark.parametrize("text", ["[identity]\n", "identity = 1\n", "[pci]\nexpected = 3\n", "not toml"])
def test_a_file_that_is_no_profile_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ProfileError, match=r"mine\.toml"):
        board_signs([tmp_path])


def test_a_machine_that_fits_no_profile_loads_no_model_of_one() -> None:
    code = (
        "import sys; from bringup.pci.match.board import profile_and_reason as find; "
        "from bringup.pci.model import Machine; "
        "print(find(Machine(()))[0], 'pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None False\n"
