"""Why VMs send to each other slowly, as far as the build's settings and the console tell. Pure.

    slow_causes(read_build(Path("build")), console_text)

Without a translation vspace the VMM maps and unmaps guest pages at each access: about 150 Mbit/s, and 1,200
with it, on the E300-9D (seL4/seL4_projects_libs#114, default off). A ring of the connection holds
32 KiB, some 21 frames, and what finds it full is dropped (camkes-tool libsel4camkes/src/virtqueue.c; larger
ones: adl09/camkes-vm c83db64).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build

_FULL_RING = ("Unknown error while enqueuing available buffer", "Dropping frame")
_TRANSLATION = "-DLibSel4VMUseTranslationVspace=ON (seL4_projects_libs#114)"


def slow_causes(build: Build | None, console: str) -> tuple[str, ...]:
    """Return what makes traffic between VMs slow here, and what mends it; empty where nothing is known."""
    causes = []
    if build is not None and build.translation_vspace is False:
        causes.append(f"the build has no translation vspace: build with {_TRANSLATION}")
    elif build is not None and build.translation_vspace is None:
        causes.append(
            f"the build knows no translation vspace, so its libraries lack it: take those with {_TRANSLATION}"
        )
    said = next((words for words in _FULL_RING if words in console), None)
    if said is not None:
        causes.append(
            f"a ring between VMs was full ({said!r} on the console): give the connection larger ones"
        )
    return tuple(causes)
