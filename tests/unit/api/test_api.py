"""`import bringup`: every name is there, listed once, documented, and imported when it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import bringup
from tests import places

SOURCE = Path(bringup.__file__)


def test_every_name_is_there_and_its_types_are_those_of_the_same_module() -> None:
    (typed,) = [node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {name: f"bringup.{place}" for name, place in bringup._PLACES.items()}
    for name in bringup.__all__:
        assert getattr(bringup, name) is not None
        assert name in dir(bringup)


def test_a_name_that_is_not_there_is_told_as_python_does() -> None:
    assert not hasattr(bringup, "no_such_thing")


def test_nothing_is_imported_before_it_is_used() -> None:
    program = "import bringup, sys; print([m for m in sys.modules if m.startswith('bringup.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_function_and_class_of_it_is_on_its_page() -> None:
    page = (places.CHECKOUT / "docs" / "api.md").read_text()
    told = {name for name in bringup._PLACES if name in page}
    assert set(bringup._PLACES) - told <= {"Event", "Firmware", "Plan", "RunFolder", "Stage", "Switched"}


def test_the_command_line_takes_from_it_whatever_it_has() -> None:
    places_of = {f"bringup.{place}": set[str]() for place in bringup._PLACES.values()}
    for name, place in bringup._PLACES.items():
        places_of[f"bringup.{place}"].add(name)
    past_it = [
        f"{path.name}:{node.lineno} {node.module}.{alias.name}"
        for path in sorted((SOURCE.parent / "cli").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module in places_of
        for alias in node.names
        if alias.name in places_of[node.module]
    ]
    assert past_it == []


def test_no_room_imports_the_package_root() -> None:
    rooms = [path for path in SOURCE.parent.rglob("*.py") if path.parent != SOURCE.parent]
    importing = {
        path.relative_to(SOURCE.parent).parts[0]
        for path in rooms
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "bringup")
        or (isinstance(node, ast.Import) and any(alias.name == "bringup" for alias in node.names))
    }
    assert importing == {"cli"}
