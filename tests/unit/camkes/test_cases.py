"""The shared cases of applications: what each is read as. Skips, saying so, where they are not there."""

from __future__ import annotations

import pytest

from bringup.base.errors import UsageError
from bringup.camkes.app.load import load_application
from bringup.pci.capture.open import open_capture
from bringup.rules.assess import assess
from bringup.rules.check import check
from tests.places import SHARED

CASES = SHARED / "cases" / "camkes"

# The errors of each file, as (rule, code), without a capture, a build or camkes-vm's headers.
ERRORS: dict[str, set[tuple[str, str]]] = {
    "base": set(),
    "c04-two-vms-one-pin": {("C4", "pin-twice")},
    "c37-mini": {("F3", "old-spelling")},
    "c38-native": {
        ("C12", "function-twice"),
        ("C29", "ports-twice"),
        ("C33", "domain-twice"),
        ("F13", "attribute-unset"),
    },
    # Only a capture of the board tells that the numbers are those of another unit.
    "c41-other-unit": set(),
    "c57-unaligned": {("C4", "pin-twice"), ("C28", "inclusive-end")},
    "d9": set(),
    # Only a capture tells that the BAR is smaller.
    "hi-big": set(),
    "hi-empty": {("F13", "no-assembly")},
    "hi-noasm": {("F13", "no-assembly")},
    "hi-oct": set(),
    "hi-usesconf": {("F3", "old-spelling")},
    "m_12b": {("C37", "pools-small")},
    "m_15b": {("F13", "attribute-unset")},
    "m_25b": {("C4", "pin-twice")},
    "m_29": {("F2", "size-is-end")},
    "m_46": {("F13", "component-undefined")},
}
REFUSED = {"m_31": "m_31.camkes:52:31: a ; is missing behind 1024"}


@pytest.fixture(autouse=True)
def _there() -> None:
    if not CASES.is_dir():
        pytest.skip(f"{CASES} is not there")


@pytest.mark.parametrize("name", ERRORS)
def test_a_case_has_the_errors_it_stands_for(name: str) -> None:
    report = check(load_application(CASES / f"{name}.camkes", allow_missing=True))
    found = {(each.rule, each.code) for each in report.findings if each.severity == "error"}
    assert found == ERRORS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_that_cannot_be_read_is_told_at_its_place(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_application(CASES / f"{name}.camkes", allow_missing=True)
    assert REFUSED[name] in str(raised.value)


def test_numbers_of_another_unit_are_told_by_a_capture_of_this_one() -> None:
    application = load_application(CASES / "c41-other-unit.camkes", allow_missing=True)
    own = assess(open_capture([SHARED / "cases" / "captures" / "c41-a.txt"]))
    other = assess(open_capture(sorted((SHARED / "data" / "pci").glob("pciconf-SYS-E300-9D-FEF*"))))
    assert check(application, assessment=own).clean
    told = {each.code: each.severity for each in check(application, assessment=other).findings}
    assert told["other-unit"] == "warning" and told["bridge"] == "error"


def test_every_case_is_here() -> None:
    assert {path.stem for path in CASES.glob("*.camkes")} == {*ERRORS, *REFUSED}


def test_advice_about_an_end_address_is_a_size() -> None:
    report = check(load_application(CASES / "m_29.camkes", allow_missing=True))
    (finding,) = (each for each in report.findings if each.code == "size-is-end")
    assert finding.fix == 'write "size":0x100000'


def test_an_octal_number_warns() -> None:
    report = check(load_application(CASES / "hi-oct.camkes"))
    assert [(each.code, each.severity) for each in report.findings] == [("octal-number", "warning")]
