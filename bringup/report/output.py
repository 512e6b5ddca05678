"""How the command line writes: what was asked for on stdout, progress, notes and errors on stderr.

Whoever closes the far end of a stream (`bringup runs | head -1`, or a terminal) has read enough: what follows
goes nowhere, and the command ends as it would have.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from contextlib import suppress
from typing import Any, TextIO

from bringup.base.errors import BringupError, OutputError
from bringup.report.screen import fitted, fold_width, folded
from bringup.report.style import faint, glyph

# A line of a file stands below the sentence that is about it, indented.
_QUOTED = "\n    "
BELOW_LABEL = 10
"""Where the text of a labelled line begins: `run       bringup runs show`."""


def answer(*lines: str) -> None:
    """Write lines of what was asked for, on stdout; raises OutputError when they cannot be written."""
    for line in lines:
        stream = _standard_output()
        _write(stream, _line(line, stream))


def say(*lines: str) -> None:
    """Write lines of progress, notes or errors, on stderr.

    Without a stderr (`2>&-`), or with its disk full, nobody can be told; the exit code still tells.
    """
    for line in lines:
        if sys.stderr is not None:
            with suppress(OutputError):
                _write(sys.stderr, _line(line, sys.stderr))


def answer_folded(*lines: str, indent: int = BELOW_LABEL) -> None:
    """Do as `answer`; on a terminal long lines are broken at words, and go on below `indent`."""
    answer(*folded(lines, fold_width(), indent))


def say_folded(*lines: str, indent: int = 0) -> None:
    """Do as `say`; on a terminal long lines are broken at words, and go on below `indent`."""
    say(*folded(lines, fold_width(sys.stderr), indent))


def emit_json(body: Any) -> None:
    """Write one JSON value as one line on stdout; what JSON cannot hold is written as its text."""
    emit(json.dumps(body, default=str) + "\n")


def emit(content: str | bytes) -> None:
    """Write a file's content on stdout as it is, text as UTF-8; raises OutputError when it cannot.

    On a terminal, signs that would steer it are shown as dots.
    """
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    stream = _standard_output()
    if stream.isatty():
        data = dotted(data)
    _write(stream, data)


def dotted(data: bytes) -> bytes:
    """Return a file's content with a dot for each sign that steers a terminal, or is none."""
    text = data.decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "·" for c in text).encode()


def show_error(error: BringupError, *, as_json: bool) -> None:
    """Tell a failure: whose fault, what, and what to do; with `as_json` one object on stdout instead."""
    if as_json and not isinstance(error, OutputError):
        told = {"verdict": error.fault, "exit_code": error.exit_code}
        # Where the object cannot be written, the sentence still tells.
        with suppress(OutputError):
            emit_json({**told, "cause": error.message, "hint": error.hint})
            return
    # One sentence is one line, also when it quotes a name with a line end in it.
    sentence, _, quoted = error.message.partition(_QUOTED)
    message = " ".join(sentence.splitlines())
    whose = "" if message.startswith(error.fault) else f"{error.fault}: "
    mark, code = glyph("bad"), f"(exit {error.exit_code})"
    width = fold_width(sys.stderr)
    *before, last = folded([f"{whose}{message}  {code}"], width and width - 2, 0)
    for number, line in enumerate([*before, last.replace(code, faint(code))]):
        say(f"  {line}" if number else f"{mark} {line}")
    if quoted.strip():
        say_folded(f"seen      {' '.join(quoted.strip().splitlines())}", indent=BELOW_LABEL)
    if error.hint:
        say_folded(f"do        {error.hint}", indent=BELOW_LABEL)


def _standard_output() -> TextIO:
    # Python has no stream for a descriptor that was closed before it started (`>&-`).
    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    return sys.stdout


def _line(text: str, stream: TextIO) -> bytes:
    return (fitted(text, stream) + "\n").encode(stream.encoding or "ascii")


def _write(stream: TextIO, data: bytes) -> None:
    try:
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        _give_up_on(stream)
    except OSError as error:
        left = error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
        _give_up_on(stream)
        if left:
            return
        reason = (error.strerror or "it failed").lower()
        raise OutputError(f"cannot write to standard output: {reason}") from None


def _give_up_on(stream: TextIO) -> None:
    """Send what a stream still holds back, and all that follows, to nowhere: it cannot be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
