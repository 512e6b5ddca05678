"""What stands in a lab as text and as JSON: its boards, and the profiles there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bringup.lab.held import leases_of
from bringup.lab.inventory import Board, Lab
from bringup.profile.files import title_of
from bringup.profile.toml_lines import shown_path
from bringup.report.lease import held_words, lease_json
from bringup.report.style import table


def lab_lines(lab: Lab, profiles: Mapping[str, Path]) -> Iterator[str]:
    """Yield where the boards are named, the boards, and the profiles."""
    if lab.file is None:
        yield "no lab.toml here: the board e300 is the twin, a virtual SYS-E300-9D"
    else:
        yield f"lab  {shown_path(lab.file)}"
    yield ""
    rows = [[*_row(board), held_words(leases_of(board)) or "-"] for board in lab.boards.values()]
    yield table(["board", "profile", "BMC", "console", "boots from", "held by"], rows)
    yield ""
    yield table(["profile", "what it is"], [[name, title_of(path) or "?"] for name, path in profiles.items()])


def lab_json(lab: Lab, profiles: Mapping[str, Path]) -> dict[str, Any]:
    """Return the same as plain JSON data."""
    return {
        "lab": lab.file and str(lab.file),
        "boards": [
            {**board.to_dict(), "leases": [lease_json(lease) for lease in leases_of(board)]}
            for board in lab.boards.values()
        ],
        "profiles": [
            {"name": name, "title": title_of(path), "file": str(path)} for name, path in profiles.items()
        ],
    }


def _row(board: Board) -> list[str]:
    if board.twin:
        return [board.name, board.profile_name, "virtual", board.serial, "virtual"]
    bmc, network = board.bmc, board.network
    where = f"{bmc.address}:{bmc.port}" if bmc else "-"
    interface = f" on {network.interface} ({network.mode})" if network else ""
    return [board.name, board.profile_name, where, board.serial, f"{board.boot_mac}{interface}"]
