"""Runs the C preprocessor over a .camkes file, as camkes-tool does first (camkes/parser/stage0.py).

It may be given any file, so it gets a clean environment and bounds on its time, memory and output.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from bringup.camkes.lexical import shown_line
from bringup.errors import MissingProgramError, UsageError
from bringup.profile_toml import shown_path

_TIMEOUT_S = 20.0
_CPU_S = 10
_MEMORY_BYTES = 1 << 30
_OUTPUT_BYTES = 8 << 20
_MISSING_MAX = 200

_DEFINE = re.compile(r"[A-Za-z_]\w*(\([\w, .]*\))?(=.*)?", re.ASCII)
_ERROR = re.compile(r"(.+?):(\d+):(?:(\d+):)? (?:fatal )?error: (.*)")
_NOT_FOUND = "No such file or directory"
# A name with a space is written with a backslash before it (gcc's -M writes rules for make).
_DEPENDENCY = re.compile(r"(?:\\[ #]|\$\$|[^\s\\])+")
# How many folders deep the stand-ins for missing files lie, so that `../../x.h` stays among them.
_STAND_IN_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """The folders of -I and the macros of -D, both in order."""

    include: tuple[Path, ...] = ()
    define: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise UsageError for a macro that could not be one."""
        for macro in self.define:
            if not _DEFINE.fullmatch(macro):
                raise UsageError(
                    f"-D {shown_line(macro)!r} is no macro definition", hint="write NAME or NAME=VALUE"
                )

    def run(self, path: Path, *, allow_missing: bool = False) -> Preprocessed:
        """Return the text of `path` after the preprocessor, with its line markers.

        With `allow_missing`, included files that do not exist are taken as empty and listed.
        Raises UsageError naming file and line, and MissingProgramError without a cpp.
        """
        path = path.absolute()
        with tempfile.TemporaryDirectory(prefix="bringup-cpp-") as folder:
            result = self._cpp(path, Path(folder))
            missing: tuple[str, ...] = ()
            if result.status != 0 and allow_missing and _NOT_FOUND in result.errors:
                missing = self._missing(path, Path(folder))
                stand_ins = _make_stand_ins(missing, Path(folder))
                result = self._cpp(path, Path(folder), "-I", str(stand_ins))
            if result.status != 0:
                raise _failure(path, result)
            return Preprocessed(result.output, missing, folder)

    def _missing(self, path: Path, folder: Path) -> tuple[str, ...]:
        """Return the names of the files that are included and not there, as they were included."""
        result = self._cpp(path, folder, "-M", "-MG")
        if result.status != 0:
            raise _failure(path, result)
        rule = result.output.replace("\\\n", " ").partition(": ")[2]
        names = [re.sub(r"\\(.)|\$(\$)", r"\1\2", name) for name in _DEPENDENCY.findall(rule)]
        missing = [name for name in names if not (folder / name).exists()]
        return tuple(dict.fromkeys(missing))

    def _cpp(self, path: Path, folder: Path, *more: str) -> _Result:
        command = ["cpp", "-fno-diagnostics-show-caret", "-fdiagnostics-color=never"]
        command += [f"-I{place.absolute()}" for place in self.include]
        command += [f"-D{macro}" for macro in self.define]
        command += [*more, str(path)]
        with tempfile.TemporaryFile(dir=folder) as output, tempfile.TemporaryFile(dir=folder) as errors:
            status = _run(command, folder, output, errors)
            return _Result(status, _content(output), _content(errors))


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


def _run(command: Sequence[str], folder: Path, output: IO[bytes], errors: IO[bytes]) -> int:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(folder)}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=_limit,  # only sets limits; nothing here has threads
        )
    except FileNotFoundError:
        raise MissingProgramError(
            "cpp, the C preprocessor, is not installed", hint="apt install cpp"
        ) from None
    try:
        return process.wait(_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return -signal.SIGXCPU
    finally:
        # cpp starts a compiler of its own, which outlives it when only cpp is ended.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_OUTPUT_BYTES, _OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")


def _make_stand_ins(names: Sequence[str], folder: Path) -> Path:
    """Make an empty file for each name under a folder deep below `folder`, and return that folder."""
    root = folder / "stand-ins"
    deep = root.joinpath(*["x"] * _STAND_IN_DEPTH)
    deep.mkdir(parents=True)
    if len(names) > _MISSING_MAX:
        raise UsageError(f"{len(names)} included files are missing", hint="name their folders with -I")
    for name in names:
        target = Path(os.path.normpath(deep / PurePosixPath(name)))
        if root not in target.parents:
            raise UsageError(f"the included file {shown_line(name)} does not exist")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return deep


def _failure(path: Path, result: _Result) -> UsageError:
    """Return the first of cpp's errors as one sentence."""
    shown = shown_path(path)
    if len(result.output) >= _OUTPUT_BYTES // 2 and not _ERROR.search(result.errors):
        return UsageError(f"{shown} becomes too large after its macros and includes (over 8 MiB)")
    match = _ERROR.search(result.errors)
    if match is None:
        return UsageError(f"{shown} could not be preprocessed within {_CPU_S} s and 1 GiB")
    file, line, column, message = match.groups()
    if message.endswith(_NOT_FOUND):
        name = message.removesuffix(f": {_NOT_FOUND}")
        hint = "name its folder with -I, for camkes-vm's headers that is camkes-vm/components/VM"
        return UsageError(
            _at(file, line, column, f"the included file {shown_line(name)} is not found"), hint=hint
        )
    return UsageError(_at(file, line, column, shown_line(message)))


def _at(file: str, line: str, column: str | None, message: str) -> str:
    path = Path(file)
    place = f"{shown_path(path)}:{line}:{column or 1}"
    try:
        with path.open("rb") as source:
            text = source.read(_OUTPUT_BYTES).decode("utf-8", "replace").split("\n")[int(line) - 1]
    except (OSError, IndexError):
        return f"{place}: {message}"
    return f"{place}: {message}\n    {shown_line(text, int(column or 1))}"
