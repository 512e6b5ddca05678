"""By which folders and macros an application's build reads it: as the build says, or as its projects lie.

camkes-tool's CMake leaves the command that parsed the application beside what came out (`ast.pickle.cmd`);
without a build, the folder `projects` above the application holds the repositories, where `repo` puts them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMAND_NAME = "ast.pickle.cmd"
_COMMAND_MAX = 1 << 20
_PATTERNS = (COMMAND_NAME, f"*/{COMMAND_NAME}", f"*/*/{COMMAND_NAME}", f"*/*/*/{COMMAND_NAME}")
_COMMANDS_MAX = 50

# Where an application could be built from: one of these is among the projects.
_MARKS = ("camkes-tool", "camkes", "vm", "camkes-vm", "global-components")
# The folders that the CMakeLists.txt of these repositories name (CAmkESAddImportPath, CAmkESAddCPPInclude).
_FOLDERS = (
    "include/builtin",
    "components",
    "components/VM",
    "interfaces",
    "plat_components/pc99",
    "plat_interfaces/pc99",
    "camkes-include",
    "camkes/include/builtin",
    "",
)
_PROJECTS_MAX = 100
_FLAG = re.compile(r"-([ID])(.+)")


@dataclass(frozen=True, slots=True)
class Command:
    """Folders of -I (for cpp and `import <…>` alike) and macros of -D, both in order; `root` is the file."""

    include: tuple[Path, ...] = ()
    define: tuple[str, ...] = ()
    root: Path | None = None


def command_for(application: Path, build: Path | None) -> Command:
    """Return by what an application is read: as its build did, else with the projects' folders above it."""
    if build is not None and (found := _of_build(application, build)) is not None:
        return found
    return Command(tuple(_of_projects(application.absolute())))


def parse_command(text: str, folder: Path) -> Command:
    """Return what a camkes-tool command line says; CMake writes its words with `;` between them.

    Relative folders are those of `folder`.
    """
    try:
        words = shlex.split(text.replace(";", "\n"))
    except ValueError:
        words = text.replace(";", "\n").split()
    include: dict[Path, None] = {}
    define: dict[str, None] = {}
    root = None
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if not (name in _OPTIONS and equals):
            name, value = (option, word) if option else ("", "")
        option = word if word in _OPTIONS else ""
        if name == "--cpp-flag" and (flag := _FLAG.fullmatch(value)):
            if flag[1] == "I":
                include[folder / flag[2]] = None
            else:
                define[flag[2]] = None
        elif name in ("--import-path", "-I"):
            include[folder / value] = None
        elif name in ("--file", "-f"):
            root = folder / value
    return Command(tuple(include), tuple(define), root)


_OPTIONS = frozenset(("--cpp-flag", "--import-path", "-I", "--file", "-f"))


def _of_build(application: Path, build: Path) -> Command | None:
    """Return the command that read this file; the only one there is, where it was another (an overlay)."""
    folder = build if build.is_dir() else build.parent
    found = [command for path in _commands(folder) if (command := _read(path)) is not None]
    for command in found:
        if command.root is not None and command.root.resolve() == application.resolve():
            return command
    return found[0] if len(found) == 1 else None


def _commands(folder: Path) -> Iterator[Path]:
    number = 0
    for pattern in _PATTERNS:
        for path in sorted(folder.glob(pattern)):
            number += 1
            if number > _COMMANDS_MAX:
                return
            yield path


def _read(path: Path) -> Command | None:
    try:
        with path.open("rb") as file:
            text = file.read(_COMMAND_MAX).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    return parse_command(text, path.parent.absolute())


def _of_projects(application: Path) -> Iterator[Path]:
    """Yield the folders of includes and imports: the application's own, then those of each project."""
    projects = next(filter(_is_projects, (above / "projects" for above in application.parents)), None)
    if projects is None:
        return
    yield application.parent
    for project in sorted(projects.iterdir())[:_PROJECTS_MAX]:
        for name in _FOLDERS:
            if (project / name).is_dir():
                yield project / name


def _is_projects(folder: Path) -> bool:
    return any((folder / mark).is_dir() for mark in _MARKS)
