"""What of a recorded console an image said itself: the part that a stand-in can say again."""

from __future__ import annotations

from bringup.transcript.stamps import LineCleaner

# The first words of kernels, of what follows a RELEASE kernel, and of recordings that begin late.
_FIRST_WORDS = (b"Boot config:", b"Booting all finished", b"PCIDs", b"Guest address")


def image_part(data: bytes) -> bytes:
    """Return what the kernel and its user space say in a recording, without stamps, firmware and loader."""
    cleaner = LineCleaner()
    text = cleaner.feed(data) + cleaner.finish()
    begins = (text.find(words) for words in _FIRST_WORDS)
    return text[min((begin for begin in begins if begin >= 0), default=0) :]
