"""The pytest plugin: `--bringup-target`, fixtures and markers, all with the prefix bringup.

A test says what it needs by the fixtures it takes; without a target, or with one that has no such thing, it
is skipped with the reason. Nothing of the toolkit is imported before a fixture is asked for.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from bringup.boot.session import Session
    from bringup.lab.inventory import Board
    from bringup.testing.hands import ConsoleHand, PowerHand, VmHand
    from bringup.verify.scene import Scene
    from bringup.vlab.nodes import Actor

VLAB = "vlab"
TARGET_VARIABLE = "BRINGUP_TARGET"
NO_TARGET = "no target: --bringup-target=vlab, or the name of a board"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the group `bringup`."""
    group = parser.getgroup("bringup", "boards and the virtual lab (bringup)")
    group.addoption(
        "--bringup-target",
        default=os.environ.get(TARGET_VARIABLE),
        metavar="TARGET",
        help=f"What tests run against: vlab, or a board of lab.toml (default: ${TARGET_VARIABLE}).",
    )
    group.addoption("--bringup-lab", metavar="FILE", help="The lab file (default: lab.toml here or above).")
    group.addoption("--bringup-rules", metavar="DIR", help="vlab: your own scripts, NODE.sh each.")
    group.addoption("--bringup-slow", action="store_true", help="Also tests marked bringup_slow.")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line("markers", "bringup_slow: takes minutes (only with --bringup-slow)")
    config.addinivalue_line(
        "markers",
        "bringup_needs(thing, ...): skipped where the target is not vlab, board, twin or hardware as named, "
        "or where there is no such program (iperf3) or /dev/kvm (kvm)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what was marked as slow and not asked for."""
    if config.getoption("--bringup-slow"):
        return
    reason = pytest.mark.skip(reason="takes minutes: --bringup-slow")
    for item in items:
        if item.get_closest_marker("bringup_slow"):
            item.add_marker(reason)


@pytest.fixture(scope="session")
def bringup_target(request: pytest.FixtureRequest) -> str:
    """The target's name; skips without one."""
    target = request.config.getoption("--bringup-target")
    if not target:
        pytest.skip(NO_TARGET)
    return str(target)


@pytest.fixture(autouse=True)
def _bringup_needs(request: pytest.FixtureRequest) -> None:
    """Skip a test whose `bringup_needs` is not met."""
    for marker in request.node.iter_markers("bringup_needs"):
        for need in marker.args:
            reason = _why_not(request, str(need))
            if reason:
                pytest.skip(reason)


def _why_not(request: pytest.FixtureRequest, need: str) -> str | None:
    """Return why a need is not met, None where it is."""
    if need == "kvm":
        return None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "needs /dev/kvm"
    if need not in (VLAB, "board", "twin", "hardware"):
        return None if shutil.which(need) else f"needs the program {need}"
    target = request.getfixturevalue("bringup_target")
    kinds = {VLAB} if target == VLAB else {"board", _kind(request.getfixturevalue("bringup_board"))}
    return None if need in kinds else f"needs {need}, and the target is {target}"


def _kind(board: Board) -> str:
    return "twin" if board.twin else "hardware"


@pytest.fixture(scope="session")
def bringup_session(bringup_target: str, request: pytest.FixtureRequest) -> Iterator[Session]:
    """The lease of the board that was named, for all tests; a twin that is not up is started and ended."""
    if bringup_target == VLAB:
        pytest.skip("needs a board, and the target is vlab")
    from bringup.boot.session import Session
    from bringup.lab.find import load_lab

    lab_file = request.config.getoption("--bringup-lab")
    board = load_lab(Path(lab_file) if lab_file else None).board(bringup_target)
    with Session(board, "pytest") as session:
        session.reach(lambda _event: None)
        yield session


@pytest.fixture(scope="session")
def bringup_board(bringup_session: Session) -> Board:
    """The board that was named (`bringup.Board`)."""
    return bringup_session.board


@pytest.fixture(scope="session")
def bringup_power(bringup_session: Session) -> PowerHand:
    """The board's power: `.state`, and `bringup_power("cycle")` for a confirmed change."""
    from bringup.testing.hands import PowerHand

    return PowerHand(bringup_session)


@pytest.fixture
def bringup_console(bringup_session: Session) -> Iterator[ConsoleHand]:
    """The board's console for one test: `.expect(pattern, timeout_s)`, `.send(line)`, `.text`."""
    from bringup.testing.hands import console_hand

    with console_hand(bringup_session) as hand:
        yield hand


@pytest.fixture(scope="session")
def bringup_lab(
    bringup_target: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """The virtual lab, up for the session: nodes, `watching()` the segments, the tunnels."""
    if bringup_target != VLAB:
        pytest.skip(f"needs vlab, and the target is {bringup_target}")
    from bringup.verify.scene import Scene
    from bringup.vlab.lab import LabRequest, VirtualLab

    rules = request.config.getoption("--bringup-rules")
    wanted = LabRequest.of(rules=Path(rules) if rules else None)
    with VirtualLab.start(wanted, tmp_path_factory.mktemp("bringup-captures")) as lab:
        yield Scene(lab)


def _as_long_as_its_way(fixture_name: str, config: pytest.Config) -> Literal["session", "function"]:
    """Return how long VMs are had: those of a board share its console with other tests."""
    return "session" if config.getoption("--bringup-target") in (None, VLAB) else "function"


@pytest.fixture(scope=_as_long_as_its_way)
def bringup_vm(
    bringup_target: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Actor | VmHand]]:
    """A node by its name: `bringup_vm("vm1-a").run("wg show")` returns what that printed.

    On a board `vm0`, `vm1`, … are the VMs of the image that runs, asked over its console.
    """
    if bringup_target == VLAB:
        yield request.getfixturevalue("bringup_lab").node
        return
    from bringup.testing.hands import vm_hands

    with vm_hands(request.getfixturevalue("bringup_session")) as hands:
        yield hands
