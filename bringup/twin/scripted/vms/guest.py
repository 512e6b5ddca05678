"""A guest, played: a serial port of 16 characters, a login, and a real shell in a world that is made.

The shell is this host's, so what is typed means what it means in a guest; it is confined to what is made. It
sees `/sys` and `/proc` by a `cd` that leads into a folder, and tools by the first folder of its PATH.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from bringup.twin.scripted.vms.confined import confined

FIFO = 16
"""Characters that the emulated 8250 holds (camkes-vm components/Init/src/serial.c)."""
_INTERRUPT = 0x03
_END = b"\x01"
_LONGEST_S = 5.0
_MOST_BYTES = 1 << 20
_OPENS = re.compile(r"\b(?:if|for|while|until|case|do)\b|[({`\\]")
_NEEDS_MORE = ("unterminated", "end of file", "eof", "missing")
LOGIN = "buildroot login: "
PROMPT = "# "

Life = Literal["lives", "dead", "hangs"]


class Shell:
    """A shell that lines are given to, one at a time; `close` ends it and all that it started.

    It may write to the folder that `folder` is in, the VMs' world, and to nothing else. Raises LabError where
    that cannot be.
    """

    def __init__(self, folder: Path, command: Sequence[str] = ("sh",)) -> None:
        self._command = command
        self._folder = folder
        self._script = folder / ".line"
        self._held = ""
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        path = f"{self._folder / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}"
        words = {"PATH": path, "ROOT": str(self._folder), "PS1": "", "PS2": "", "LC_ALL": "C"}
        # An interactive shell outlives a line that is no command.
        process = subprocess.Popen(
            confined(self._folder.parent, (*self._command, "-i")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**words, "HOME": str(self._folder)},
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101
        process.stdin.write(b'cd(){ command cd "$ROOT$1";};PS1=;PS2=\n')
        process.stdin.flush()
        return process

    def _restart(self) -> None:
        self.close()
        self._process = self._start()

    def run(self, line: str) -> bytes | None:
        """Return what a line printed; None where the shell waits for the rest of it."""
        text = self._held + line + "\n"
        if self._is_open(text):
            self._held = text
            return None
        self._held = ""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101
        # By a file, so that a garbled line which reads its input does not swallow what follows. Its folder
        # may have been deleted, as everything else that a guest can reach.
        self._folder.mkdir(parents=True, exist_ok=True)
        self._script.write_text(text, encoding="latin-1")
        stdin.write(b". \"$ROOT/.line\" </dev/null\nprintf '\\001'\n")
        stdin.flush()
        said, deadline_s = b"", time.monotonic() + _LONGEST_S
        while not said.endswith(_END):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or len(said) > _MOST_BYTES or not select.select([stdout], [], [], left_s)[0]:
                # A garbled line can be an endless one: as ^C would, and what it had set is gone.
                self._restart()
                return said
            piece = os.read(stdout.fileno(), 65536)
            if not piece:
                self._restart()  # it was ended by the line: `exit`, or `kill -9 -1`
                return said
            said += piece
        return said.removesuffix(_END)

    def forget(self) -> None:
        """Drop the beginning of a line."""
        self._held = ""

    def _is_open(self, text: str) -> bool:
        # Most lines open nothing, and need no shell that says so.
        if text.count("'") % 2 == text.count('"') % 2 == 0 and not _OPENS.search(text):
            return False
        done = subprocess.run(
            [*self._command, "-n"], input=text.encode("latin-1"), capture_output=True, check=False, timeout=20
        )
        told = done.stderr.decode("latin-1").lower()
        return done.returncode != 0 and any(word in told for word in _NEEDS_MORE)

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Guest:
    """A guest's end of the line: `give` puts a key into its port, `step` lets it work, `say` has its text."""

    def __init__(self, shell: Shell, say: Callable[[bytes], None], life: Life = "lives") -> None:
        self._shell = shell
        self._say = say
        self._life = life
        self._port: list[int] = []
        self._line = bytearray()
        self._in = False

    def boot(self) -> None:
        """Come to the login."""
        if self._life != "dead":
            self._say(f"\r\nWelcome to Buildroot\r\n{LOGIN}".encode())

    def give(self, byte: int) -> None:
        """Take a key; what finds no room is lost."""
        if len(self._port) < FIFO:
            self._port.append(byte)

    def step(self) -> None:
        """Work on what came."""
        keys, self._port = self._port, []
        if self._life != "dead":
            for key in keys:
                self._key(key)

    def _key(self, key: int) -> None:
        if key == _INTERRUPT:
            self._line.clear()
            self._shell.forget()
            self._say(f"^C\r\n{self._prompt()}".encode())
        elif key in b"\r\n":
            line = self._line.decode("latin-1")
            self._line.clear()
            self._say(b"\r\n")
            if self._life == "lives":
                self._enter(line)
        else:
            self._line.append(key)
            self._say(bytes([key]))

    def _enter(self, line: str) -> None:
        if self._in:
            said = self._shell.run(line)
            self._say(b"> " if said is None else said.replace(b"\n", b"\r\n") + self._prompt().encode())
            return
        self._in = bool(line.strip())
        self._say(self._prompt().encode())

    def _prompt(self) -> str:
        return PROMPT if self._in else LOGIN

    def close(self) -> None:
        """End its shell."""
        self._shell.close()
