"""Follows a script of iPXE: the words that ours use (pxe/), and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bringup.twin.scripted.boot_image import BootImage, read_boot_image
from bringup.twin.scripted.network import Fetched, NetworkError
from bringup.twin.scripted.texts import IPXE_SAYS

_ELF, _LINUX, _LINUX_AT = b"\x7fELF", b"HdrS", 0x202
_EFI = b"MZ"
_STEPS_MAX = 200

Say = Callable[[str], None]
Fetch = Callable[[str], Awaitable[Fetched]]


@dataclass(slots=True)
class Loaded:
    """What a script has fetched: the kernel's arguments, None without a kernel, and how many modules.

    A kernel that is a boot image of UEFI brings its own.
    """

    arguments: str | None = None
    modules: int = 0
    boot_image: BootImage | None = None
    attempt: int = 0


async def follow(script: str, fetch: Fetch, say: Say) -> Loaded | None:
    """Do what the script says until it boots; None when it stays where it is, for ever."""
    lines = [line.strip() for line in script.splitlines()]
    labels = {line[1:]: at for at, line in enumerate(lines) if line.startswith(":")}
    loaded, at = Loaded(), 0
    for _ in range(_STEPS_MAX):
        if at >= len(lines):
            return None
        command, _, otherwise = (part.strip() for part in lines[at].partition("||"))
        at += 1
        target = await _do(command, loaded, fetch, say)
        if target == "":
            return loaded
        if target is FAILED:
            target = otherwise.removeprefix("goto ") or None
        if target in labels:
            at = labels[target]
        elif target is not None:
            return None
    return None


FAILED = "failed"


async def _do(command: str, loaded: Loaded, fetch: Fetch, say: Say) -> str | None:
    """Do one command; returns a label to go to, FAILED, "" to boot, None to go on."""
    word, _, rest = command.partition(" ")
    if word == "echo":
        say(rest + "\r\n")
    elif word == "inc":
        loaded.attempt += 1
    elif word == "goto":
        return rest
    elif word == "sleep":
        await asyncio.sleep(float(rest))
    elif word == "iseq":
        asked = re.search(r"(\d+) && goto (\S+)", rest)
        return asked[2] if asked and int(asked[1]) == loaded.attempt else None
    elif word == "boot":
        return "" if loaded.arguments is not None else FAILED
    elif word == "imgfree":
        loaded.arguments, loaded.modules, loaded.boot_image = None, 0, None
    elif word in ("kernel", "module", "initrd"):
        return await _load(word, rest, loaded, fetch, say)
    return None


async def _load(word: str, rest: str, loaded: Loaded, fetch: Fetch, say: Say) -> str | None:
    words = rest.split()
    if words[0] == "--name":
        words = words[2:]
    say(f"{words[0]}... ")
    try:
        fetched = await fetch(words[0])
        if word == "kernel" and not is_kernel(fetched.start):
            raise NetworkError("format")
    except NetworkError as error:
        say(f"{IPXE_SAYS[error.kind]}\r\n")
        return FAILED
    say("ok\r\n")
    if word == "kernel":
        loaded.arguments = " ".join(words)
        loaded.boot_image = read_boot_image(fetched.start, fetched.end)
    else:
        loaded.modules += 1
    return None


def is_kernel(start: bytes) -> bool:
    """Return whether a file begins as something that iPXE starts."""
    return start.startswith((_ELF, _EFI)) or start[_LINUX_AT : _LINUX_AT + 4] == _LINUX
