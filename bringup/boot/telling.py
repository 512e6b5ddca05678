"""The words of a verdict: which row of the table fits, the cause, the lines behind it, what to do. Pure."""

from __future__ import annotations

from bringup.base.errors import EXIT_CODES, BringupError
from bringup.base.stage import Stage
from bringup.boot.causes.hints import HINT_UNLESS
from bringup.boot.causes.row import Cause, Causes, Row
from bringup.boot.causes.table import TABLE
from bringup.boot.causes.usual import LOGGED_CAUSES
from bringup.boot.course import Course, is_garbage
from bringup.boot.evidence import BootEvidence, SeenFailure, StageReached, Suite
from bringup.boot.facts import LOGGED, Fact, facts_of
from bringup.boot.limits import UNENDING_S, Limits
from bringup.boot.stalls import elsewhere_code, restart_code, stall_code
from bringup.boot.verdict import Verdict
from bringup.transcript.markers import SUITE_PASSED

_NONE: frozenset[Fact] = frozenset()
_RELATED_S = 5.0
_CAUSES_MAX = 3
_NAMES_MAX = 5
# iPXE asks by DHCP a second time, and may then take what another server says.
_RIVALS_MATTER = (
    *("dhcp-not-taken", "loader-not-fetched", "foreign-file", "booted-elsewhere"),
    *("kernel-not-fetched", "dhcp-no-file"),
)


class Telling:
    """Makes verdicts of one boot."""

    def __init__(self, course: Course, limits: Limits) -> None:
        self._course = course
        self._limits = limits

    @property
    def _boot(self) -> BootEvidence:
        return self._course.boot

    def ended_by(self, error: BringupError, now_s: float) -> Verdict:
        """Return the verdict of a run that an error ended."""
        usual: Causes = (("", error.hint),) if error.hint else ()
        causes = (*self._logged(), *usual)[:_CAUSES_MAX]
        return self._verdict(error.fault, error.code, error.message, now_s, causes)

    def ok(self) -> Verdict:
        """Return the verdict of a boot to which all came that is wanted."""
        at_s = self._course.done_s() or self._course.stage_s()
        buts, causes = self._buts()
        if buts and self._course.request.strict:
            cause = f"booted, but {buts[0]}"
            code = "nic-dead" if self._boot.nics.dead else "iommu-fault"
            return self._verdict("image", code, cause, at_s, causes, seen=self._boot.last_line)
        return self._verdict("ok", "ok", self._what_came(), at_s, causes, buts=buts)

    def _what_came(self) -> str:
        """Return what the success rests on."""
        boot, request = self._boot, self._course.request
        if request.until_texts and request.by_itself:
            return f"said {', '.join(boot.texts[text][1] for text in request.until_texts)}"
        until = self._course.until
        if self._course.awaits_suite and boot.suite is not None:
            passed = f"{boot.suite.result.replace('. ', ', ')}; " if boot.suite.result else ""
            return f"passed its tests: {passed}{SUITE_PASSED}"
        named = request.vm_names is not None or len(boot.logins) > 1
        if until is Stage.LOGIN and boot.logins and named:
            return f"reached login in {', '.join(sorted(boot.logins))}"
        release = "" if request.prints or until not in boot.reached else f": {boot.reached[until].evidence}"
        return f"reached {until}{release}{self._silence()}"

    def _silence(self) -> str:
        """Return how an image that has no known end came to it; a recording's silence is not known."""
        request = self._course.request
        if not self._course.has_no_end or request.recorded or not request.quiet_s:
            return ""
        ok_s, done_s = self._limits.ok_s() or 0.0, self._course.done_s() or 0.0
        if ok_s - done_s >= UNENDING_S > request.for_s:
            return f", then watched for {UNENDING_S:.0f} s, in which it never fell silent"
        return f", then quiet for {request.quiet_s:.0f} s"

    def _buts(self) -> tuple[tuple[str, ...], Causes]:
        """Return what is not well in VMs that came up, and what to do about it."""
        dead = self._boot.nics.dead if self._course.until >= Stage.GUEST or self._boot.logins else []
        faults = [f.failure for f in self._boot.failures if f.failure.code == "iommu-fault"][:1]
        buts = [f"{nic.label}: {nic.words()}" for nic in dead] + [fault.cause for fault in faults]
        # The device that was refused memory is often the dead controller, whose advice says more.
        advice = [nic.advice() for nic in dead] or [(fault.why, fault.fix) for fault in faults]
        causes = dict.fromkeys(self._filled(*told) for told in advice if told is not None)
        return tuple(buts), tuple(causes)

    def unwanted(self, at_s: float, expression: str, seen: str) -> Verdict:
        """Return the verdict of an image that said what a person called failure."""
        cause = f"said what means failure: {expression}"
        return self._verdict(
            "image", "fail-text", cause, at_s, (("", "look at the lines before it"),), seen=seen
        )

    def stalled(self, at_s: float, seen: str | None = None, lines: tuple[str, ...] = ()) -> Verdict:
        """Return the verdict of a boot that went no further."""
        return self.missing(stall_code(self._course), at_s, seen, lines)

    def elsewhere(self, at_s: float) -> Verdict:
        """Return the verdict of a board that runs what was not served."""
        return self.from_table(elsewhere_code(self._course), at_s, seen=self._boot.last_line)

    def missing(
        self, code: str, at_s: float, seen: str | None = None, lines: tuple[str, ...] = ()
    ) -> Verdict:
        """Return the verdict by a row of the table, with what the console hints at first."""
        hints = self._hints()
        line = seen or (hints[0].seen if hints else self._boot.tail or self._boot.last_line)
        return self.from_table(code, at_s, seen=line, hints=hints, lines=lines)

    def _hints(self) -> list[SeenFailure]:
        """Return what the console hints at: that a ROM gave up only where it did not say why."""
        hints = [f for f in self._boot.failures if not self._course.recovered(f)]
        telling = [f for f in hints if not f.failure.generic]
        return [f for f in telling if not f.failure.gives_up] or telling or hints

    def restarted(self, at_s: float, seen: str) -> Verdict:
        """Return the verdict of a board that started over."""
        return self.from_table(restart_code(self._course), at_s, seen=seen)

    def failed(self, fatal: SeenFailure) -> Verdict:
        """Return the verdict of a boot that a failure ended."""
        missing = self._course.awaited
        if fatal.failure.gives_up and missing is not None and missing < Stage.KERNEL:
            # The network boot's own words say more than that nothing was left to boot.
            why = next((f for f in self._hints() if not f.failure.gives_up), fatal)
            return self.stalled(fatal.at_s, why.seen, why.lines)
        fault = self._telling(fatal)
        failure = fault.failure
        causes = (self._filled(failure.why, failure.fix), *self._logged())[:_CAUSES_MAX]
        cause = failure.cause if fault.vm is None else f"{fault.vm}: {failure.cause}"
        if self._boot.suite is not None and failure.code == "tests-failed":
            failed = self._boot.suite.failed
            cause += f": {', '.join(failed[:_NAMES_MAX])}" if failed else ""
        return self._verdict(
            failure.fault, failure.code, cause, fault.at_s, causes, seen=fault.seen, lines=fault.lines
        )

    def _telling(self, fatal: SeenFailure) -> SeenFailure:
        """Return the failure that says most: `halting...` only says that something went wrong before."""
        if not fatal.failure.generic:
            return fatal
        telling = [f for f in self._boot.failures if not f.failure.generic and not is_garbage(f)]
        after = [f for f in telling if f.failure.fatal and f.at_s >= fatal.at_s]
        before = [
            f for f in telling if 0 <= fatal.at_s - f.at_s <= _RELATED_S and not self._course.recovered(f)
        ]
        vague = [f for f in self._boot.failures if f.failure.generic and not f.failure.fatal]
        return (after or before[-1:] or vague[-1:] or [fatal])[0]

    def _missing_vms(self) -> str:
        missing = [vm.name for vm in self._boot.vms.values() if vm.guest and vm.login_s is None]
        return f"; missing: {', '.join(sorted(missing))}" if missing else ""

    def from_table(
        self,
        code: str,
        at_s: float,
        *,
        seen: str | None = None,
        hints: list[SeenFailure] | None = None,
        lines: tuple[str, ...] = (),
    ) -> Verdict:
        """Return the verdict that a row of the table words."""
        row = self._row(code)
        cause = row.cause.format(
            who=self._course.request.macs[0] if self._course.request.macs else "the board",
            waited=_seconds(at_s - self._limits.waiting_since_s()),
            arch=self._boot.arch or "unknown",
            firmware=str(self._course.request.firmware).upper(),
            since_power=_seconds(at_s - self._power_s()),
            some=len(self._boot.logins),
            all=self._course.logins_wanted,
            lost=self._boot.given_up.lost if self._boot.given_up else "",
            missing=self._missing_vms(),
            port=self._boot.other_port[1] if self._boot.other_port else "another port",
            awaited=self._course.awaited or "the awaited text",
            where=self._boot.furthest or "the beginning",
            suite=(self._boot.suite or Suite()).words,
            asked=", ".join(self._boot.foreign_names[:_CAUSES_MAX]),
            gaps=f"{self._course.gap_s():.1f}",
            told=hints[0].failure.cause if hints else "",
            logged=", ".join((self._course.witness.logged or {}).values()),
        )
        facts = facts_of(self._boot, self._course.witness, at_s)
        possible = [
            hint.failure for hint in hints or () if not HINT_UNLESS.get(hint.failure.why, _NONE) & facts
        ]
        told = {self._filled(failure.why, failure.fix): None for failure in possible}
        usual = (self._worded(cause) for cause in row.causes if cause.fits(facts))
        causes = tuple(
            dict.fromkeys((*self._strangers(code), *self._rivals(code), *self._held(code), *told, *usual))
        )[:_CAUSES_MAX]
        return self._verdict(row.fault, code, cause, at_s, causes, seen=seen, lines=lines)

    def _row(self, code: str) -> Row:
        errand = self._course.request.errand
        return errand.causes[code] if errand is not None and code in errand.causes else TABLE[code]

    def _filled(self, why: str, fix: str) -> tuple[str, str]:
        """Return a cause with the board's own words in it."""
        return why, self._course.request.words.fill(fix)

    def _worded(self, cause: Cause) -> tuple[str, str]:
        """Return a usual cause with what the BMC logged in it."""
        logged = self._course.witness.logged or {}
        words = {LOGGED[kind].name: text for kind, text in logged.items() if kind in LOGGED}
        return self._filled(cause.why.format(**words), cause.fix)

    def _logged(self) -> Causes:
        """Return what the board's own log says, as causes."""
        facts = facts_of(self._boot, self._course.witness, self._course.origin_s)
        return tuple(self._worded(cause) for cause in LOGGED_CAUSES.values() if cause.fits(facts))

    def _strangers(self, code: str) -> Causes:
        strangers = self._boot.strangers
        if code not in ("no-dhcp", "no-sign-of-life") or not strangers:
            return ()
        neighbours = self._course.request.neighbours
        known = [mac for mac in strangers if mac in neighbours][:_CAUSES_MAX]
        if known:
            told = " and ".join(f"{mac}, which is {neighbours[mac]} of this lab" for mac in known)
            return ((f"{told}, asked instead", "are two cables swapped, or two boards in lab.toml?"),)
        fix = "move the cable, or add that MAC to the board in lab.toml"
        return ((f"{', '.join(strangers[:_CAUSES_MAX])} asked instead", fix),)

    def _rivals(self, code: str) -> Causes:
        rivals = self._course.witness.rivals
        if code not in _RIVALS_MATTER or not rivals:
            return ()
        fix = "use an own segment, or switch that server off"
        return ((f"{', '.join(rivals[:_CAUSES_MAX])} answers DHCP on this segment, too", fix),)

    def _held(self, code: str) -> Causes:
        why = self._course.witness.console_held_by
        return (why,) if code == "console-held" and why is not None else ()

    def _verdict(
        self,
        kind: str,
        code: str,
        cause: str,
        at_s: float,
        causes: Causes,
        *,
        seen: str | None = None,
        lines: tuple[str, ...] = (),
        buts: tuple[str, ...] = (),
    ) -> Verdict:
        return Verdict(
            kind=kind,
            exit_code=EXIT_CODES[kind],
            code=code,
            stage=self._boot.furthest,
            missing=self._course.awaited,
            cause=cause,
            seen=seen,
            causes=causes,
            at_s=self._relative(at_s),
            stages=tuple(
                StageReached(reached.stage, self._relative(reached.at_s), reached.evidence)
                for reached in self._course.stages
            ),
            lines=lines,
            buts=buts,
            vms=tuple(self._boot.vms.values()),
            nics=tuple(self._boot.nics),
            suite=self._boot.suite,
        )

    def _power_s(self) -> float:
        power = self._boot.reached.get(Stage.POWER)
        return self._course.origin_s if power is None or power.at_s is None else power.at_s

    def _relative(self, at_s: float | None) -> float | None:
        return None if at_s is None else round(at_s - self._course.origin_s, 3)


def _seconds(value: float) -> str:
    """Return seconds as a person says them: what took a moment took no "0 s"."""
    return f"{value:.0f}" if value >= 9.5 else f"{max(0.1, value):.1f}"
