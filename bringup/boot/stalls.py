"""Why a boot went no further: which row of the table fits what came and what did not. Pure."""

from __future__ import annotations

from bringup.base.stage import Stage
from bringup.boot.course import Course
from bringup.boot.facts import BROKEN, LOGGED

_SILENT_AFTER_KERNEL = {
    Stage.VMM: "no-vmm",
    Stage.GUEST: "no-guest",
    Stage.LOGIN: "no-login",
}


# What rests on text that did not come: a gap in which it may have come makes it a guess.
_RESTS_ON_TEXT = frozenset(
    {
        *("kernel-silent", "kernel-hangs", "text-missing", "suite-silent"),
        *_SILENT_AFTER_KERNEL.values(),
    }
)


def stall_code(course: Course) -> str:
    """Return the row of the table that fits the silence; a gap of the console is evidence of ignorance."""
    code = _stall_code(course)
    if code in _RESTS_ON_TEXT and _is_broken(course):
        return "board-fault"
    if code == "console-silent":
        return "console-gap" if _loader_spoke_in_gap(course) else code
    return "console-gap" if code in _RESTS_ON_TEXT and course.gap_s() > 0 else code


def _loader_spoke_in_gap(course: Course) -> bool:
    """Return whether the loader ran while the console was away: else its words would have been the proof."""
    loader = course.boot.reached.get(Stage.LOADER)
    ran_s = None if loader is None else loader.at_s
    return ran_s is not None and any(gap.since_s <= ran_s <= gap.until_s for gap in course.boot.gaps)


def restart_code(course: Course) -> str:
    """Return the row for a board that started over: its own log may say why."""
    if _is_broken(course):
        return "board-fault"
    return "watchdog-reset" if "watchdog" in (course.witness.logged or {}) else "reboot-loop"


def _is_broken(course: Course) -> bool:
    """Return whether the board's own log tells of what no image is to blame for."""
    return any(LOGGED.get(kind) in BROKEN for kind in course.witness.logged or {})


def _stall_code(course: Course) -> str:
    boot, missing = course.boot, course.awaited
    if missing is None:
        return "suite-silent" if course.awaits_suite else "text-missing"
    if missing >= Stage.KERNEL:
        return _after_loading(course, missing)
    if missing is Stage.POWER:
        return "no-power"
    if missing < Stage.KERNEL_IMAGE and boot.not_served is not None:
        return elsewhere_code(course)
    if missing <= Stage.DHCP:
        return _before_address(course)
    started = missing in boot.transferring
    if missing is Stage.LOADER and not started:
        return "foreign-file" if boot.foreign_names else "loader-not-fetched"
    if missing is Stage.LOADER:
        return "loader-stalled"
    if started:
        return "transfer-stalled"
    return "kernel-not-fetched" if missing is Stage.KERNEL_IMAGE else "module-not-fetched"


def elsewhere_code(course: Course) -> str:
    """Return the row for a board that runs what was not served."""
    witness, boot = course.witness, course.boot
    seen_s, until_s = boot.not_served_s or boot.console_kernel_s, witness.override_until_s
    if seen_s is not None and until_s is not None and seen_s > until_s:
        return "override-expired"
    if witness.override_read:
        return "override-ignored"
    return "override-unproven" if witness.override_unsure else "booted-elsewhere"


def _before_address(course: Course) -> str:
    boot = course.boot
    if course.witness.carrier is False:
        return "host-no-link"
    if "ack" in boot.dhcp:
        return "dhcp-no-file" if boot.arch is None else "dhcp-ignored"
    if ("ignored" in boot.dhcp and "offer" not in boot.dhcp) or course.asks_otherwise:
        return "dhcp-ignored"
    if "discover" in boot.dhcp:
        return "dhcp-not-taken" if "offer" in boot.dhcp else "dhcp-unanswered"
    return "no-dhcp" if boot.heard_s is not None else "no-sign-of-life"


def _after_loading(course: Course, missing: Stage) -> str:
    boot, request = course.boot, course.request
    if course.witness.console_lost_s is not None:
        return "console-held" if course.witness.console_held else "console-lost"
    if missing is Stage.KERNEL and boot.other_port is not None:
        return "other-port"
    if missing in (Stage.KERNEL, Stage.USER_SPACE) and not request.prints:
        return "nothing-printed"
    if missing is Stage.KERNEL and _spoke_after_loading(course):
        return "unknown-text"
    if missing is Stage.KERNEL:
        return "kernel-silent" if boot.heard_s is not None else "console-silent"
    if request.errand is not None and missing is request.errand.stage:
        return request.errand.silent_code
    return _SILENT_AFTER_KERNEL.get(missing, "kernel-hangs")


def _spoke_after_loading(course: Course) -> bool:
    """Return whether text came that is not firmware's or a loader's: silence is judged by bytes."""
    boot = course.boot
    loaded = boot.reached.get(Stage.MODULES) or boot.reached.get(Stage.KERNEL_IMAGE)
    text_s = boot.text_s
    return text_s is not None and (loaded is None or loaded.at_s is None or text_s > loaded.at_s)
