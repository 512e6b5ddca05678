"""The collector: a POSIX shell script that makes a capture on any Linux, without Python (pure).

It follows the same manifest as the live reader and makes the same tree, packed as a tar.gz. The script's
frame is `probes/linux/collect.sh`; only the lines that follow the manifest are written here. The manifest's
parser lets nothing through that a shell could take for more than a path, so words are written as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bringup.base.assets import asset
from bringup.base.version import __version__
from bringup.pci.tree.manifest import ManifestEntry, entry_words, linux_manifest

FRAME = "probes/linux/collect.sh"
# A list stands at the folder's own path, so it is written only when it is known that no file lies below.
_ORDER = ("file", "link", "list", "command")
_STEPS = "# STEPS\n"
_MANIFEST = "# MANIFEST\n"


def collector_script() -> str:
    """Return the script that `bringup probe-pci --collector` prints."""
    frame = asset(FRAME).read_text(encoding="utf-8").replace("VERSION", __version__)
    entries = linux_manifest()
    return frame.replace(_MANIFEST, "".join(_manifest_lines(entries))).replace(
        _STEPS, "".join(_steps(entries))
    )


def _manifest_lines(entries: Iterable[ManifestEntry]) -> Iterator[str]:
    """Yield the manifest as the bundle carries it, inside a here-document."""
    for entry in entries:
        yield f"{' '.join(entry_words(entry))}\n"


def _steps(entries: Iterable[ManifestEntry]) -> Iterator[str]:
    for entry in sorted(entries, key=lambda entry: _ORDER.index(entry.kind)):
        words = (entry.path, *entry.command)
        yield f"take_{entry.kind} {' '.join(words)}\n"
