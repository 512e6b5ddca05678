"""Serial adapters: which name stays, and what stands in the way of opening one."""

from __future__ import annotations

from pathlib import Path

from bringup.jobs.doctor.check import Result, examine
from bringup.jobs.doctor.serial import Adapter, serial_checks, stable_name
from bringup.lab.inventory import Board

BY_ID = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
BY_PATH = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0"


def found(board: Board, *adapters: Adapter) -> dict[str, Result]:
    return {each.id: each.result for each in examine([serial_checks(board, lambda: adapters)])}


def test_the_serial_number_names_it_before_the_socket_does() -> None:
    assert stable_name(["/dev/x", BY_PATH, BY_ID]) == BY_ID
    assert stable_name([BY_PATH]) == BY_PATH
    assert stable_name([]) is None


def test_adapters_are_told_with_their_serial_number() -> None:
    plugged = Adapter("/dev/ttyUSB0", BY_ID, "FT232 Serial", "A50285BI")
    told = found(Board("e300", "twin-e300-9d"), plugged)
    assert set(told) == {"serial-adapters"}
    assert BY_ID in told["serial-adapters"].message and "A50285BI" in told["serial-adapters"].message


def test_a_name_that_a_replug_changes_is_replaced_in_the_lab_file(tmp_path: Path) -> None:
    line = "/dev/null"  # there, and open to everybody
    board = Board("e300-1", "supermicro-e300-9d", serial=line)
    wrong = found(board, Adapter(line, BY_ID))["serial-serial"]
    assert wrong.status == "fail" and wrong.fix == f"""sed -i 's#"{line}"#"{BY_ID}"#' lab.toml"""
    assert found(board)["serial-serial"].status == "pass"


def test_an_adapter_that_is_out_names_those_that_are_in() -> None:
    board = Board("e300-1", "supermicro-e300-9d", console2="/dev/serial/by-id/none")
    wrong = found(board, Adapter("/dev/ttyUSB1", BY_ID))["serial-console2"]
    assert wrong.status == "fail" and BY_ID in wrong.message


def test_sol_has_no_line_here() -> None:
    assert set(found(Board("e300", "twin-e300-9d"))) == {"serial-adapters"}
