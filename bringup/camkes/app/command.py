"""By which folders and macros an application's build reads it: as the build says, or as its projects lie.

camkes-tool's CMake leaves the command that parsed the application beside what came out (`ast.pickle.cmd`,
once `camkes_gen/last_invocation`), its words as a list of CMake's (seL4_tools cmake-tool/helpers/make.cmake);
without a build, the folder `projects` above the application holds the repositories, where `repo` puts them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bringup.base.errors import UsageError
from bringup.base.regular_file import is_folder, read_regular

COMMAND_NAMES = ("ast.pickle.cmd", "camkes_gen/last_invocation")
_COMMAND_MAX = 1 << 20
# How deep below the build's folder the application's own may lie.
_DEPTHS = ("", "*/", "*/*/", "*/*/*/")
_COMMANDS_MAX = 50

PROCESSING = "CAMKES_TOOL_PROCESSING"
"""What camkes-tool's CMake defines for every application (camkes.cmake)."""

# Where an application could be built from: one of these is among the projects.
_MARKS = ("camkes-tool", "camkes", "vm", "camkes-vm", "global-components")
# What the CMake files of these repositories name (CAmkESAddImportPath, CAmkESAddCPPInclude) for x86 and pc99.
_FOLDERS = (
    "include/builtin",
    "components",
    "components/VM",
    "components/arch/x86",
    "components/plat/pc99",
    "components/*/include/plat/pc99",
    "components/*/include/plat/empty",
    "components/*/include",
    "components/*/camkes-include",
    "components/*/*/camkes-include",
    "remote-drivers/*/camkes-include",
    "interfaces",
    "plat_components/pc99",
    "plat_interfaces/pc99",
    "camkes-include",
    "camkes/include/builtin",
    "",
)
_PROJECTS_MAX = 100
_FOLDERS_MAX = 400
# A command line takes no more than 2 MiB, one word of it no more than 128 KiB (execve(2)).
_WORD_MAX, _WORDS_MAX = 4096, 400
_FLAG = re.compile(r"-([ID])(.+)")
# A macro that cpp takes: others (`-DPLATFORM_QEMU-ARM-VIRT`) it only warns of.
_MACRO = re.compile(r"[A-Za-z_]\w*(\([\w, .]*\))?(=.*)?", re.ASCII)
_LIST_ENDS = re.compile(r"(?<!\\);")


@dataclass(frozen=True, slots=True)
class Command:
    """Folders of -I (for cpp and `import <…>` alike) and macros of -D, both in order; `root` is the file."""

    include: tuple[Path, ...] = ()
    define: tuple[str, ...] = (PROCESSING,)
    root: Path | None = None


def command_of(application: Path, build: Path | None = None) -> Command:
    """Return by what an application is read: as its build did, else with the projects' folders above it.

    Where none are above the file, those of the folder that the build was configured from count.
    """
    if build is not None and (found := _of_build(application, build)) is not None:
        return found
    projects = _projects_above(application.absolute())
    if projects is None and build is not None:
        from bringup.camkes.app.build import configured_from

        home = configured_from(build)
        projects = None if home is None else _projects_above(home.absolute() / "CMakeLists.txt")
    folders = [] if projects is None else [*_own(application.absolute()), *_of_projects(projects)]
    return Command(tuple(dict.fromkeys(islice(folders, _FOLDERS_MAX))))


def root_of(build: Path) -> Path:
    """Return the .camkes file that a build was made from.

    Raises UsageError where no command in it tells, several do, or the file is gone.
    """
    commands = _commands(_folder(build))
    found = dict.fromkeys(c.root for c in commands if c.root is not None and c.root.suffix == ".camkes")
    roots = [Path(os.path.normpath(root)) for root in found]
    if not roots:
        raise UsageError(
            f"{build} does not tell which .camkes file it was made from: it has no {COMMAND_NAMES[0]}",
            hint="name the application's .camkes file",
        )
    if len(roots) > 1:
        names = ", ".join(map(str, roots[:4]))
        raise UsageError(f"{build} was made from several applications: {names}", hint="name one of them")
    if not roots[0].is_file():
        raise UsageError(
            f"{roots[0]}, which {build} was made from, is not there any more", hint="name the file"
        )
    return roots[0]


def parse_command(text: str, folder: Path) -> Command:
    """Return what a camkes-tool command line says; CMake writes its words with `;` between them.

    Relative folders are those of `folder`. Macros that cpp would not take as such are left out.
    """
    include: dict[Path, None] = {}
    define: dict[str, None] = {}
    root = None
    option = ""
    for word in _words(text):
        name, equals, value = word.partition("=")
        if not (name in _OPTIONS and equals):
            name, value = (option, word) if option else ("", "")
        option = word if word in _OPTIONS else ""
        if "\0" in value or len(value) > _WORD_MAX or len(include) + len(define) >= _WORDS_MAX:
            continue
        if name == "--cpp-flag" and (flag := _FLAG.fullmatch(value)):
            if flag[1] == "I":
                include[folder / flag[2]] = None
            elif _MACRO.fullmatch(flag[2]):
                define[flag[2]] = None
        elif name in ("--import-path", "-I"):
            include[folder / value] = None
        elif name in ("--file", "-f"):
            root = folder / value
    return Command(tuple(include), tuple(define), root)


_OPTIONS = frozenset(("--cpp-flag", "--import-path", "-I", "--file", "-f"))


def _words(text: str) -> list[str]:
    """Return the words of a list of CMake's, in which a `;` of a word has a backslash, else of a shell's."""
    if ";" in text:
        return [word.replace("\\;", ";") for word in _LIST_ENDS.split(text)]
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _of_build(application: Path, build: Path) -> Command | None:
    """Return the command that read this file; the only one there is, where it was another (an overlay)."""
    found = list(_commands(_folder(build)))
    for command in found:
        if command.root is not None and command.root.resolve() == application.resolve():
            return command
    return found[0] if len(found) == 1 else None


def _folder(build: Path) -> Path:
    return build if build.is_dir() else build.parent


def _commands(folder: Path) -> Iterator[Command]:
    paths = (
        path for depth in _DEPTHS for name in COMMAND_NAMES for path in sorted(folder.glob(f"{depth}{name}"))
    )
    for path in islice(paths, _COMMANDS_MAX):
        data = read_regular(path, _COMMAND_MAX)
        if data is not None:
            base = path.parent if path.name == COMMAND_NAMES[0] else path.parent.parent
            yield parse_command(data.decode("utf-8", "surrogateescape"), base.absolute())


def _projects_above(place: Path) -> Path | None:
    return next(filter(_is_projects, (above / "projects" for above in place.parents)), None)


def _is_projects(folder: Path) -> bool:
    return any(is_folder(folder / mark) for mark in _MARKS)


def _own(application: Path) -> Iterator[Path]:
    """Yield an application's own folders; a file per platform lies in one below (camkes-vm-examples#90)."""
    folder = application.parent
    yield folder
    yield from filter(Path.is_dir, (folder / "configurations", folder.parent / "configurations"))


def _of_projects(projects: Path) -> Iterator[Path]:
    """Yield the folders of includes and imports that the projects have."""
    for project in sorted(projects.iterdir())[:_PROJECTS_MAX]:
        for name in _FOLDERS:
            found = sorted(project.glob(name)) if "*" in name else [project / name]
            yield from filter(Path.is_dir, found)
