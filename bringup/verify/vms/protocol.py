"""What is typed to a VM's shell and what its answer proves. Pure.

A console loses characters in both directions, so nothing is believed that is not covered by a checksum
(POSIX `cksum`): the guest refuses a command that did not arrive as it was sent, or at another VM, and the
host refuses an answer that is not what the guest printed. The guest prints it again then, and does not run
the command again.

    _c='…'; _c=$_c'…'            the command, in pieces shorter than a line
    _q ID CRC.LENGTH             run it if this is the checksum of the VM's number and the command
    ~ID has CRC.LENGTH           the answer: its checksum, its lines, the exit code, the end
    …
    =0 ID
    ~ID end

`~ID bad` says that the command arrived broken. No echo of what is typed looks like an answer. Lines keep
below the 80 columns at which shells draw a line anew, and never begin with `@`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LINE_MAX = 68
INTERRUPT = b"\x03"
_PIECE_MAX = 56
# `_k`: a checksum as CRC.LENGTH; `_p`: print what is kept again; `_q`: check, run, keep, print. Blank lines
# and tabs would not survive the console.
_FUNCTIONS = (
    "_k(){ set -- $(cksum);echo $1.$2;};"
    """_p(){ echo "~$1 has $(printf '%s\\n' "$_b"|_k)";printf '%s\\n' "$_b";echo "~$1 end";};"""
    '_q(){ if [ "$(printf %s "$_v$_c"|_k)" = $2 ];then '
    """_b=$( ( (eval "$_c");echo "=$? $1") </dev/null 2>&1|tr '\\t\\r' ' \\n'|grep .);"""
    '_p $1;else echo "~$1 bad";fi;}'
)


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
        table.append(crc & 0xFFFFFFFF)
    return tuple(table)


_TABLE = _crc_table()


def cksum(data: bytes) -> str:
    """Return `CRC.LENGTH` of POSIX cksum (IEEE Std 1003.1, cksum: CRC over the data and its length)."""
    length = len(data)
    tail = length.to_bytes((length.bit_length() + 7) // 8, "little")
    crc = 0
    for byte in data + tail:
        crc = (crc << 8) & 0xFFFFFFFF ^ _TABLE[(crc >> 24) ^ byte]
    return f"{crc ^ 0xFFFFFFFF}.{length}"


def switch_keys(vm: int, *, again: bool = False) -> bytes:
    """Return what turns the keyboard to a VM: `@` is heard after a line end only.

    `again`: a server that still waits for what follows an `@` takes the first line end for that.
    """
    return (b"\r\r@" if again else b"\r@") + bytes([ord("0") + vm])


def is_switched(text: str, vm: int) -> bool:
    """Whether the server said that the keyboard is at this VM now (and at no other one since)."""
    said = re.findall(r"Switching input to (\d+)\n", text)
    return bool(said) and int(said[-1]) == vm


def without_server(text: str) -> str:
    """Return a text without what the server says of the keyboard, which has no colour of its own."""
    return re.sub(r"\n?Switching input to \d+\n", "", text)


def assignments(name: str, value: str) -> Iterator[str]:
    """Yield the lines that give a shell variable a value of printable ASCII."""
    piece, first = "", True
    for character in value:
        if not " " <= character <= "~":
            raise ValueError(f"{character!r} cannot be typed")
        quoted = "'\\''" if character == "'" else character
        if len(piece) + len(quoted) > _PIECE_MAX:
            yield f"{name}={'' if first else f'${name}'}'{piece}'"
            piece, first = "", False
        piece += quoted
    yield f"{name}={'' if first else f'${name}'}'{piece}'"


def setup_lines(vm: int, ident: str) -> tuple[tuple[str, ...], str, str]:
    """Return the lines that give a shell our functions, and what it prints where they arrived whole, and not.

    No line of it does more than it shall when a character of it is lost.
    """
    script = f"_v={vm}:;{_FUNCTIONS};_r=up"
    want = cksum(script.encode()).replace(".", " ")
    lines = (
        *assignments("_s", script),
        '_r=;set -- $(printf %s "$_s"|cksum)',
        f"if [ \"$1 $2\" = '{want}' ];then _r=whole;fi",
        'case $_r in whole)eval "$_s";esac',
        f'echo "~"{ident} _$_r',
    )
    return lines, f"~{ident} _up\n", f"~{ident} _\n"


def marker_line(ident: str) -> str:
    """Return a line whose output, `~IDENT here`, is not in its echo."""
    return f'echo "~"{ident} here'


def command_lines(vm: int, ident: str, command: str) -> tuple[str, ...]:
    """Return the lines that run a command."""
    return (*assignments("_c", command), f"_q {ident} {cksum(f'{vm}:{command}'.encode())}")


def print_line(ident: str) -> str:
    """Return the line that prints the last answer once more."""
    return f"_p {ident}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, whole: its exit code and its lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class Refused:
    """No answer that can be believed. `command`: it is the command that did not arrive whole."""

    command: bool


Reply = Answer | Refused
"""What came back: an answer, or what only looks like one."""


def read_answer(text: str, ident: str) -> Reply | None:
    """Return the last answer in a VM's text (as `lines_of` gives it); None where none has come to its end."""
    end = f"~{ident} end"
    for block in reversed(text.split(end)[:-1]):
        checksum, _, body = block.rpartition(f"~{ident} has ")[2].partition("\n")
        answer = _believed(body, checksum, ident)
        if answer is not None:
            return answer
    if f"~{ident} bad" in text:
        return Refused(command=True)
    return Refused(command=False) if end in text else None


def _believed(body: str, checksum: str, ident: str) -> Answer | None:
    if cksum(body.encode("latin-1")) != checksum:
        return None
    *lines, last = body.removesuffix("\n").split("\n")
    found = re.fullmatch(rf"=(\d+) {ident}", last)
    return None if found is None else Answer(int(found[1]), tuple(lines))
