"""Runs the C preprocessor over a .camkes file, as camkes-tool does first (camkes/parser/stage0.py).

It may be given any file, so it gets a clean environment and bounds on its time, memory and output.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import select
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from bringup.base.errors import MissingProgramError, UsageError, reason_of
from bringup.camkes.app.line_markers import STDIN_NAME, file_of, is_of_system
from bringup.camkes.text.tokens import shown_line
from bringup.profile.toml_lines import shown_path

_CPU_S = 10
_MEMORY_BYTES = 1 << 30
_OUTPUT_BYTES = 8 << 20
_MISSING_MAX = 200

_DEFINE = re.compile(r"[A-Za-z_]\w*(\([\w, .]*\))?(=.*)?", re.ASCII)
_ERROR = re.compile(r"(.+?):(\d+):(?:(\d+):)? (?:fatal )?error: (.*)")
# What -H tells of each file that was included, a dot for each level.
_INCLUDED = re.compile(r"^\.+ (.+)$", re.MULTILINE)
_NOT_FOUND = "No such file or directory"
# A name with a space is written with a backslash before it (gcc's -M writes rules for make).
_DEPENDENCY = re.compile(r"(?:\\[ #]|\$\$|[^\s\\])+")
# How many folders deep the stand-ins for missing files lie, so that `../../x.h` stays among them.
_STAND_IN_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """The folders of -I and the macros of -D, both in order; a run of cpp may take `timeout_s` seconds.

    `own` are the application's files: of others an error shows nothing.
    """

    own: Own
    include: tuple[Path, ...] = ()
    define: tuple[str, ...] = ()
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Raise UsageError for a macro that could not be one."""
        for macro in self.define:
            if not _DEFINE.fullmatch(macro):
                raise UsageError(
                    f"-D {shown_line(macro)!r} is no macro definition", hint="write NAME or NAME=VALUE"
                )

    def run(self, path: Path, text: str, *, allow_missing: bool = False) -> Preprocessed:
        """Return `text` after the preprocessor, with its line markers; it is, or may become, that of `path`.

        cpp gets it by its standard input and in the folder of `path`: includes are looked for as if it stood
        there, and the folder need not be writable. Line markers call it `STDIN_NAME`, and may name other
        files from that folder on. With `allow_missing`, included files that do not exist are taken as empty
        and listed. Raises UsageError naming file and line, and MissingProgramError without a cpp.
        """
        source = _Source(path.absolute(), text)
        with tempfile.TemporaryDirectory(prefix="bringup-cpp-") as folder:
            result = self._cpp(source, Path(folder))
            missing: tuple[str, ...] = ()
            if result.status != 0 and allow_missing and _NOT_FOUND in result.errors:
                named = self._named(source, Path(folder))
                absent = [name for name in named if not (source.path.parent / name).exists()]
                stand_ins = _make_stand_ins(named, absent, Path(folder))
                result = self._cpp(source, Path(folder), "-I", str(stand_ins))
                # A name may be there, seen from the file's folder, and yet not in any folder of -I.
                missing = tuple(
                    name for name in named if name in absent or f'"{stand_ins}/{name}"' in result.output
                )
            if result.status != 0:
                raise self._failure(source, result, Path(folder))
            return Preprocessed(result.output, missing, folder)

    def _named(self, source: _Source, folder: Path) -> tuple[str, ...]:
        """Return the names of included files, those that are found from the root of the tree left out."""
        result = self._cpp(source, folder, "-M", "-MG")
        if result.status != 0:
            raise self._failure(source, result, folder)
        rule = result.output.replace("\\\n", " ").partition(": ")[2]
        names = [re.sub(r"\\(.)|\$(\$)", r"\1\2", name) for name in _DEPENDENCY.findall(rule)]
        named = [name for name in names if not (name.startswith("/") and Path(name).exists())]
        return tuple(name for name in dict.fromkeys(named) if name != "-")

    def _failure(self, source: _Source, result: _Result, folder: Path) -> UsageError:
        # What cpp says of the application's own lines may hold words that an included file defines.
        for name in _INCLUDED.findall(result.errors):
            file = file_of(name, source.path)
            if not (is_of_system(file) or file.startswith(f"{folder}/") or self.own.has(file)):
                return foreign(file)
        return _failure(source, result, self.own)

    def _cpp(self, source: _Source, folder: Path, *more: str) -> _Result:
        command = ["cpp", "-fno-diagnostics-show-caret", "-fdiagnostics-color=never"]
        command += [f"-I{place.absolute()}" for place in self.include]
        command += [f"-D{macro}" for macro in self.define]
        command += ["-H", *more, "-"]
        with (
            tempfile.TemporaryFile(dir=folder) as given,
            tempfile.TemporaryFile(dir=folder) as output,
            tempfile.TemporaryFile(dir=folder) as errors,
        ):
            given.write(source.text.encode("utf-8", "surrogateescape"))
            given.seek(0)
            streams = (given, output, errors)
            status = _run(command, source.path.parent, folder, streams, self.timeout_s)
            return _Result(status, _content(output), _content(errors))


GO_ON = "or its build with --build-dir; or go on without it: --allow-missing"
"""What else can be done about a file that is not found."""


@dataclass(frozen=True, slots=True)
class Own:
    """An application's files: the one that a person named, and all in its folders (real paths).

    Of the folder `beside` it is what lies in it, and nothing below. What another file holds, which an
    `#include` or `import` may name, is not read: it could be anybody's.
    """

    root: Path
    folders: tuple[Path, ...]
    beside: Path | None = None

    @classmethod
    def of(
        cls,
        root: Path,
        include: Sequence[Path],
        draft_of: Path | None = None,
        *,
        generated: bool = False,
    ) -> Own:
        """Return those in the folder of `root`, in the project around it, and in the folders of -I.

        `draft_of` is the application that `root` is written for; its files are as good as the root's. A root
        that is `generated` lies in a platform's folder, its application beside that (camkes-vm-examples#90).
        """
        roots = (root,) if draft_of is None else (root, draft_of)
        folders = (
            *(project_of(each.absolute().parent) for each in roots),
            *(each.absolute() for each in include),
        )
        beside = root.absolute().parent.parent.resolve() if generated else None
        return cls(root.absolute(), tuple(each.resolve() for each in folders), beside)

    def has(self, file: str) -> bool:
        """Whether a file is one of them, links followed."""
        if file == str(self.root):
            return True
        real = Path(file).resolve()
        return real.parent == self.beside or any(real.is_relative_to(folder) for folder in self.folders)


def project_of(folder: Path) -> Path:
    """Return the folder of the project that an application's folder is in: itself where nothing shows more.

    The projects of a workspace lie in one folder `projects` (`repo`), and CMake's file is in each above.
    """
    for above in folder.parents:
        if above.name == "projects":
            return above
    while folder.parent != folder and (folder.parent / "CMakeLists.txt").is_file():
        folder = folder.parent
    return folder


def foreign(file: str) -> UsageError:
    """Return what is told of a file that is none of the application's; nothing of what it holds."""
    return UsageError(
        f"{shown_path(Path(file))} is outside of the application's folders, and is not read",
        hint=f"if it belongs to the application, name its folder: -I {shown_path(Path(file).parent)}",
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """A text, and the file (absolute) as which it is read."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """A text as cpp leaves it. `stand_ins` is the folder whose files are none of the application's."""

    text: str
    missing: tuple[str, ...]
    stand_ins: str


@dataclass(frozen=True, slots=True)
class _Result:
    status: int
    output: str
    errors: str


def _run(
    command: Sequence[str], place: Path, folder: Path, streams: tuple[IO[bytes], ...], timeout_s: float
) -> int:
    """Run a command in `place` with its temporary files in `folder`; return how it ended."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(folder)}
    try:
        process = subprocess.Popen(
            command,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            cwd=place,
            env=environment,
            start_new_session=True,
            preexec_fn=_limit,  # only sets limits; nothing here has threads
        )
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise UsageError("cpp cannot be given so many folders (-I) and macros (-D)") from None
        if error.filename == str(place):
            reason = reason_of(error)
            raise UsageError(f"the folder {shown_path(place)} cannot be entered: {reason}") from None
        raise MissingProgramError(
            "cpp, the C preprocessor, is not installed", hint="apt install cpp"
        ) from None
    try:
        _await_end(process, timeout_s)
        return process.wait(0)
    except subprocess.TimeoutExpired:
        return -signal.SIGXCPU
    finally:
        # cpp starts a compiler of its own, which outlives it when only cpp is ended.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Wait until a process has ended, at most so long; Popen.wait only looks now and then."""
    descriptor = os.pidfd_open(process.pid)
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        ended.poll(timeout_s * 1000)
    finally:
        os.close(descriptor)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_BYTES, _OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")


def _make_stand_ins(names: Sequence[str], absent: Sequence[str], folder: Path) -> Path:
    """Make an empty file for each name under a folder deep below `folder`, and return that folder.

    Raises UsageError for too many that are `absent`, and for one that cannot lie there.
    """
    root = folder / "stand-ins"
    deep = root.joinpath(*["x"] * _STAND_IN_DEPTH)
    deep.mkdir(parents=True)
    if len(absent) > _MISSING_MAX:
        raise UsageError(f"{len(absent)} included files are missing", hint="name their folders with -I")
    for name in names:
        target = Path(os.path.normpath(deep / PurePosixPath(name)))
        if root not in target.parents:
            if name not in absent:
                continue
            raise UsageError(f"the included file {shown_line(name)} does not exist")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return deep


def _failure(source: _Source, result: _Result, own: Own) -> UsageError:
    """Return the first of cpp's errors as one sentence."""
    shown = shown_path(source.path)
    if len(result.output) >= _OUTPUT_BYTES // 2 and not _ERROR.search(result.errors):
        return UsageError(f"{shown} becomes too large after its macros and includes (over 8 MiB)")
    match = _ERROR.search(result.errors)
    if match is None:
        return UsageError(f"{shown} could not be preprocessed within {_CPU_S} s and 1 GiB")
    file, line, column, message = match.groups()
    at = _At(file_of(file, source.path), int(line), int(column or 1))
    text = source.text if file == STDIN_NAME else None
    if not own.has(at.file):
        return foreign(at.file)
    if message.endswith(_NOT_FOUND):
        name = message.removesuffix(f": {_NOT_FOUND}")
        hint = f"name its folder with -I, for camkes-vm's headers that is camkes-vm/components/VM; {GO_ON}"
        return UsageError(at.told(text, f"the included file {shown_line(name)} is not found"), hint=hint)
    return UsageError(at.told(text, shown_line(message)))


@dataclass(frozen=True, slots=True)
class _At:
    file: str
    line: int
    column: int

    def told(self, text: str | None, message: str) -> str:
        """Return a message with its place and line; without `text` the line is that of the file."""
        path = Path(self.file)
        place = f"{shown_path(path)}:{self.line}:{self.column}"
        try:
            if text is None:
                with path.open("rb") as file:
                    text = file.read(_OUTPUT_BYTES).decode("utf-8", "replace")
            line = text.split("\n")[self.line - 1]
        except (OSError, IndexError):
            return f"{place}: {message}"
        return f"{place}: {message}\n    {shown_line(line, self.column)}"
