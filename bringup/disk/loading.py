"""The lines by which GRUB loads an image from a disk (pure).

What it prints is what the console's reader waits for, as in a boot by network (pxe/grub.cfg.j2).
"""

from __future__ import annotations

from collections.abc import Sequence

from bringup.base.errors import ImageError, UsageError
from bringup.image.model import Image

HAND_OVER = 'echo "bringup: starting kernel"'
"""What is printed just before `boot`."""


def load_lines(image: Image, paths: Sequence[str]) -> list[str]:
    """Return the lines that load a kernel and its modules from these paths, and then set `loaded` to yes.

    Raises ImageError for a kernel that GRUB cannot start, UsageError for words that GRUB would change.
    """
    words = grub_words(image.kernel_args)
    kernel, *modules = paths
    command, module = _commands(image)
    loads = [("kernel", _name(kernel), f"{command} {kernel} {words}".rstrip())]
    count = len(modules)
    if image.kind == "linux" and modules:
        loads.append((f"module 1 of {count}", _name(modules[0]), f"{module} {' '.join(modules)}"))
    else:
        loads += [
            (f"module {number} of {count}", _name(path), f"{module} {path}")
            for number, path in enumerate(modules, 1)
        ]
    # Each only when the one before was loaded; `return` would end the file that is sourced, not the function.
    opened = [f'echo "bringup: loading {what} {name}"\nif {line}; then' for what, name, line in loads]
    closed = [f'else\n\techo "bringup: loading {what} failed"\nfi' for what, _, _ in reversed(loads)]
    return "\n".join([*opened, "set loaded=yes", *closed]).splitlines()


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _commands(image: Image) -> tuple[str, str]:
    if image.kind == "linux":
        return "linux", "initrd"
    if image.multiboot2:
        return "multiboot2", "module2"
    if image.multiboot1:
        return "multiboot", "module"
    raise ImageError("GRUB cannot start this kernel: it has no multiboot header and is no Linux")


def grub_words(words: str) -> str:
    """Return kernel words as GRUB takes them literally; raises UsageError for those that it would change."""
    if not all(" " <= char <= "~" for char in words) or any(char in "\"'\\" for char in words):
        raise UsageError(
            f"GRUB would change the kernel's words {words!r}",
            hint="printable ASCII without quotes and backslashes; see --append",
        )
    return " ".join(f"'{word}'" for word in words.split())
