"""Power and boot override by Redfish, against a service that has moods: what is said is what was read."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    LabError,
    NotOfferedError,
    OverrideError,
    OverrideRefusedError,
    ProfileError,
)
from bringup.base.events import Event
from bringup.base.firmware import Firmware
from bringup.jobs.media import eject_media, insert_media, media_slots
from bringup.lab.inventory import Board
from bringup.lab.secret import Secret
from bringup.power.actions import Pace, confirmed_state, cycle, ensure_on
from bringup.power.base import BootOverride, Drivers, PowerState
from bringup.power.drivers.redfish import decoded, encoded
from bringup.power.open import has_override, open_drivers
from bringup.power.redfish import RedfishService, message_in
from tests.doubles.fake_redfish import PASSWORD, RESET, SYSTEM, USER, FakeRedfish, serving
from tests.unit.lab.test_inventory import BMC, BOARD, lab_of

pytestmark = pytest.mark.usefixtures("home")

ON, OFF = PowerState.ON, PowerState.OFF
PXE = BootOverride("network")
PACE = Pace(poll_s=0.01, off_pause_s=0.01, confirm_timeout_s=2.0, change_timeout_s=2.0)
HERE = f'bmc = {{ address = "127.0.0.1", user = "{USER}", password = {{ file = "password" }} }}\n'


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeRedfish]:
    with serving(FakeRedfish(), tmp_path) as fake:
        yield fake


def board_of(folder: Path, fake: FakeRedfish, more: str = "", password: str = PASSWORD) -> Board:
    (folder / "password").write_text(password + "\n")
    (folder / "password").chmod(0o600)
    power = f'power = {{ driver = "redfish", port = {fake.port}{more} }}\n'
    return lab_of(folder, BOARD.replace(BMC, HERE) + power).board("e300-1")


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def drivers(tmp_path: Path, fake: FakeRedfish, told: list[Event]) -> Drivers:
    return open_drivers(board_of(tmp_path, fake), told.append)


def override_of(drivers: Drivers) -> Any:
    assert drivers.override is not None
    return drivers.override


def test_a_board_is_switched_and_confirmed(drivers: Drivers, fake: FakeRedfish, told: list[Event]) -> None:
    assert confirmed_state(drivers.power, PACE) is OFF
    assert ensure_on(drivers.power, told.append, PACE).after is ON
    assert cycle(drivers.power, told.append, PACE).after is ON
    kinds = [body["ResetType"] for method, path, body in fake.asked if (method, path) == ("POST", RESET)]
    assert kinds == ["On", "ForceOff", "On"]


@pytest.mark.parametrize("said", ["PoweringOn", "PoweringOff", None, 7])
def test_on_the_way_from_one_to_the_other_is_neither(drivers: Drivers, fake: FakeRedfish, said: Any) -> None:
    fake.system["PowerState"] = said
    assert drivers.power.state() is PowerState.UNKNOWN


def test_what_the_system_does_not_allow_is_not_tried(drivers: Drivers, fake: FakeRedfish) -> None:
    fake.system["Actions"]["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] = ["On", "ForceOff"]
    with pytest.raises(NotOfferedError, match="does not offer soft power off, only On, ForceOff"):
        drivers.power.soft()
    del fake.system["Actions"]
    with pytest.raises(NotOfferedError, match="no reset action"):
        drivers.power.on()
    assert not [each for each in fake.asked if each[0] == "POST"]


@pytest.mark.parametrize(
    "override",
    [
        PXE,
        BootOverride("network", uefi=True),
        BootOverride("disk", persistent=True, uefi=True),
        BootOverride("setup"),
    ],
)
def test_an_override_is_set_whole_and_read_back(
    drivers: Drivers, fake: FakeRedfish, told: list[Event], override: BootOverride
) -> None:
    held = override_of(drivers)
    assert held.set(override)
    assert held.read() == override
    assert [event.kind for event in told] == ["override.set", "override.read"]
    (patch,) = [body["Boot"] for method, _path, body in fake.asked if method == "PATCH"]
    assert len(patch) == 3
    held.clear()
    assert held.read() == BootOverride("none")


def test_an_override_that_did_not_take_is_told(drivers: Drivers, fake: FakeRedfish) -> None:
    fake.system["Boot"] = {"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Hdd"}
    fake.forgets = {"BootSourceOverrideTarget"}
    with pytest.raises(OverrideError, match="asked for network once, UEFI off, it holds disk once"):
        override_of(drivers).set(PXE)


def test_a_mode_that_is_not_told_is_not_certain(
    drivers: Drivers, fake: FakeRedfish, told: list[Event]
) -> None:
    fake.forgets = {"BootSourceOverrideMode"}
    assert not override_of(drivers).set(BootOverride("network", uefi=True))
    assert told[-1].kind == "override.unsure"


def test_a_refused_override_says_what_the_service_says(drivers: Drivers, fake: FakeRedfish) -> None:
    fake.refuse["PATCH"] = [(400, "OemLicenseNotPassed: not licensed to perform this request")]
    with pytest.raises(OverrideRefusedError, match="not licensed to perform"):
        override_of(drivers).set(PXE)


def test_a_service_that_starts_is_busy_and_waited_for(
    drivers: Drivers, fake: FakeRedfish, told: list[Event]
) -> None:
    fake.refuse["GET"] = [(503, "starting")]
    with pytest.raises(BmcBusyError, match="starting"):
        drivers.power.state()
    fake.refuse["GET"] = [(503, "starting")] * 3
    assert ensure_on(drivers.power, told.append, PACE).after is ON


def test_a_wrong_password_is_told_and_never_shown(tmp_path: Path, fake: FakeRedfish) -> None:
    drivers = open_drivers(board_of(tmp_path, fake, password="wrong-word"))
    with pytest.raises(AuthenticationError, match="the user ADMIN or the password") as caught:
        drivers.power.state()
    assert "wrong-word" not in str(caught.value)


def test_a_role_that_may_not_is_no_wrong_password(drivers: Drivers, fake: FakeRedfish) -> None:
    fake.refuse["POST"] = [(403, "InsufficientPrivilege")]
    with pytest.raises(LabError, match="does not let ADMIN do this") as caught:
        drivers.power.on()
    assert not isinstance(caught.value, AuthenticationError)
    assert "role" in str(caught.value.hint)


def test_the_certificate_that_lab_toml_names_is_the_only_one(tmp_path: Path, fake: FakeRedfish) -> None:
    good = open_drivers(board_of(tmp_path, fake, f', certificate = "{fake.certificate}"'))
    assert good.power.state() is OFF
    fake.asked.clear()
    bad = open_drivers(board_of(tmp_path, fake, f', certificate = "{"0" * 64}"'))
    with pytest.raises(LabError, match="another certificate"):
        bad.power.state()
    assert not fake.asked  # no password went out


def test_several_systems_have_to_be_told_apart(tmp_path: Path, fake: FakeRedfish) -> None:
    fake.members = (SYSTEM, "/redfish/v1/Systems/2")
    with pytest.raises(ProfileError, match="has 2 systems, and one has to be meant: 1, 2"):
        open_drivers(board_of(tmp_path, fake)).power.state()
    assert open_drivers(board_of(tmp_path, fake, ', system = "1"')).power.state() is OFF


def test_a_disc_is_shown_chosen_and_taken_out(tmp_path: Path, fake: FakeRedfish) -> None:
    board = board_of(tmp_path, fake)
    url = "http://10.0.0.1/rescue.iso"
    assert [(slot.name, slot.image) for slot in media_slots(board)] == [("Floppy1", None), ("CD1", None)]
    slot, override = insert_media(board, url, boot=Firmware.UEFI)
    assert (slot.name, slot.image) == ("CD1", url)
    assert override == BootOverride("cdrom", uefi=True)
    # A virtual disc is a USB one to this board's BMC, as its profile says.
    assert fake.system["Boot"]["BootSourceOverrideTarget"] == "UsbCd"
    with pytest.raises(LabError, match=r"are taken: http://10\.0\.0\.1/rescue\.iso"):
        insert_media(board, url)
    assert [slot.name for slot in eject_media(board)] == ["CD1"]
    assert eject_media(board) == ()


def test_a_disc_that_the_bmc_cannot_fetch_is_told(tmp_path: Path, fake: FakeRedfish) -> None:
    fake.unreachable = True
    with pytest.raises(LabError, match="shows nothing in CD1"):
        insert_media(board_of(tmp_path, fake), "http://10.0.0.1/rescue.iso")


def test_without_virtual_media_that_is_said(tmp_path: Path, fake: FakeRedfish) -> None:
    fake.system["Links"] = {}
    board = board_of(tmp_path, fake)
    assert media_slots(board) == ()
    with pytest.raises(NotOfferedError, match="no virtual drive for discs"):
        insert_media(board, "http://10.0.0.1/rescue.iso")
    with pytest.raises(NotOfferedError, match="has no virtual media"):
        media_slots(
            lab_of(tmp_path, BOARD.replace(BMC, 'serial = "/dev/x"\n') + 'power = "manual"\n').board("e300-1")
        )


def test_whose_system_it_is_is_told(drivers: Drivers, fake: FakeRedfish) -> None:
    assert drivers.identified is not None
    assert drivers.identified.identity() == "GUID 27946b59-9e44-4fa7-8e91-f3527a1ef094"
    fake.system["UUID"] = "00000000-0000-0000-0000-000000000000"
    assert drivers.identified.identity() is None


def test_nobody_there_is_a_timeout_and_a_lab_file_without_a_bmc_is_refused(tmp_path: Path) -> None:
    fake = FakeRedfish(port=1)
    assert has_override(board_of(tmp_path, fake))
    with pytest.raises(BmcTimeoutError, match="gives no answer"):
        open_drivers(board_of(tmp_path, fake)).power.state()
    serial = BOARD.replace(BMC, 'serial = "/dev/ttyUSB0"\n') + 'power = "redfish"\n'
    with pytest.raises(ProfileError, match="needs to know where the BMC is"):
        open_drivers(lab_of(tmp_path, serial).board("e300-1"))


def test_a_service_that_never_answers_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = RedfishService("127.0.0.1", silent.getsockname()[1], USER, Secret("x"), timeout_s=0.2)
        with pytest.raises(BmcTimeoutError):
            service.get("/redfish/v1/", "the root")


@given(
    st.builds(
        BootOverride,
        st.sampled_from(["network", "disk", "cdrom", "floppy", "setup", "diagnostic"]),
        st.booleans(),
        st.booleans(),
    )
)
def test_what_is_encoded_is_decoded(override: BootOverride) -> None:
    assert decoded(dict(encoded(override))) == override


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_error_answer_is_too_odd(answer: object) -> None:
    for odd in (answer, json.dumps(answer), json.dumps({"error": answer}), b"\xff"):
        assert "\n" not in message_in(odd)
