"""A run folder as text: the answer first, evidence next, the way on last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bringup.base.errors import EXIT_CODES, LabError
from bringup.base.size import rough_size
from bringup.boot.folders import REIMAGE, SLOTS, RunFolder
from bringup.console.log import CONSOLE, PORT_LOGS, read_log
from bringup.report.reimage import reimaged_lines, slots_lines
from bringup.report.verify import verify_report

_FAULT = {
    "lab": "fault: lab",
    "image": "fault: image",
    "profile": "fault: profile or configuration",
    "tool": "fault: this tool",
    "usage": "fault: usage",
}
_LINES_SHOWN = 8


def fault_words(verdict: str) -> str:
    """Return whose fault a verdict's kind means, with the exit code."""
    if verdict == "ok" or verdict not in EXIT_CODES:
        return "" if verdict == "ok" else verdict
    return f"{_FAULT.get(verdict, verdict)}, exit {EXIT_CODES[verdict]}"


def image_line(image: Mapping[str, Any]) -> str:
    """Return the image in one line: what it is, sizes, first digits of its key (kernel, modules, words)."""
    kernel = image["kernel"]
    modules = image["modules"]
    headers = image.get("headers") or image["kind"]
    parts = [f"{image['title']}  kernel {rough_size(kernel['size'])} {headers}"]
    if modules:
        total = sum(module["size"] for module in modules)
        word = "module" if len(modules) == 1 else "modules"
        parts.append(f"{len(modules)} {word} {rough_size(total)}")
    return ", ".join(parts) + f"     sha256 {image['key'][:8]}…"


def needs_line(image: Mapping[str, Any]) -> str | None:
    """Return what the image's kernel is and demands of a processor, None where it does not tell."""
    needs = image.get("needs")
    if needs is None:
        return None
    bits = "" if needs["bits"] is None else f"{needs['bits']}-bit "
    kind = "RELEASE build" if needs["release"] else "debug build"
    unknown = f"; not known: {', '.join(needs['unknown'])}" if needs["unknown"] else ""
    return f"{bits}{kind}, demands {', '.join(needs['features']) or 'nothing that is known'}{unknown}"


def verdict_lines(verdict: Mapping[str, Any], *, usual_s: float | None = None) -> Iterator[str]:
    """Yield how a boot ended: cause, reached and missing, evidence, what to do, the run."""
    board, run = verdict["board"], verdict["run"]
    if verdict["verdict"] == "ok":
        but = "".join(f", but {text}" for text in verdict.get("but", ())[:1])
        yield f"ok  {board} {_success(verdict, usual_s)}{but}     run {run}"
        yield from (f"but       {text}" for text in verdict.get("but", ())[1:])
        yield from advice_lines(verdict)
        return
    yield f"{verdict['cause']}     ({fault_words(verdict['verdict'])})"
    reached = verdict["stage"] or "nothing"
    if verdict["missing"]:
        yield f"reached   {reached:<20}missing   {verdict['missing']}"
    else:
        failed = "" if verdict["verdict"] in ("undecided", "interrupted") else ", then failed"
        yield f"reached   {reached}{failed}"
    if verdict.get("seen"):
        yield f"seen      {verdict['seen']}"
    yield from (f"          | {line.strip()}" for line in verdict.get("lines", ())[:_LINES_SHOWN])
    yield from advice_lines(verdict)
    yield f"run       bringup runs show {run}"


def _success(verdict: Mapping[str, Any], usual_s: float | None) -> str:
    """Return what a success rests on and when it came."""
    until, cause = verdict["until"], verdict["cause"]
    usually = "" if usual_s is None else f"usually {usual_s:.1f} s"
    if cause != f"reached {until}":
        return f"{cause} (at {_seconds(verdict)}{', ' if usually else ''}{usually})"
    further = "" if verdict["stage"] == until else f", then went on to {verdict['stage']}"
    return f"{cause} in {_seconds(verdict)}{f' ({usually})' if usually else ''}{further}"


def advice_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to do, the most usual cause first."""
    label = "do"
    for number, item in enumerate(verdict.get("causes", ()), start=1):
        count = f"{number}. " if len(verdict["causes"]) > 1 else ""
        cause = f"{item['cause']}: " if item["cause"] else ""
        yield f"{label:<8}  {count}{cause}{item['fix']}"
        label = ""


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield a plan as text: what would happen, in order, with how long each step takes and may take."""
    firmware = str(plan["firmware"]).upper()
    work = plan.get("work", "boot")
    what = "" if work == "boot" else f"     ({work})"
    yield f"plan      boot {plan['board']} ({plan['profile']}) under {firmware} until {_aim(plan)}{what}"
    yield f"image     {image_line(plan['image'])}"
    if (needs := needs_line(plan["image"])) is not None:
        yield f"needs     {needs}"
    for step in plan["steps"]:
        yield f"{step['expected_s']:6.1f} s  {step['title']}     (at most {step['timeout_s']:.0f} s)"
        for key, value in step["detail"].items():
            yield f"            {key.replace('_', ' ')}: {value}"
        if step["name"] == "watch":
            for limit in plan["limits"]:
                times = f"usually {limit['expected_s']:.0f} s, at most {limit['timeout_s']:.0f} s"
                yield f"            {limit['stage']}: {times}"
    if plan["unconfirmed"]:
        yield "not confirmed on this board, inferred:"
    for text in plan["unconfirmed"]:
        yield f"            {text}"
    for text in plan["cautions"]:
        yield f"careful   {text}"
    yield "nothing was touched"


def _aim(plan: Mapping[str, Any]) -> str:
    """Return what a boot waits for; plans of older runs tell the stage only."""
    return str(plan.get("aim") or plan["until"])


def run_report(run: RunFolder) -> str:
    """Return one run as a page of text; a run that was killed says so; raises LabError for a damaged one."""
    with _read_whole(run):
        if (batch := run.read_json("batch.json")) is not None:
            return _batch_report(batch)
        checks = run.read_json("verify.json")
        return _run_report(run) if checks is None else verify_report(checks)


@contextmanager
def _read_whole(run: RunFolder) -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise LabError(
            f"the records of run {run.run_id} are damaged: {run.path}",
            hint="runs show --json prints what is there",
        ) from None


def _batch_report(record: Mapping[str, Any]) -> str:
    # Imported late: a boot's report needs no threads.
    from bringup.jobs.batch import Batch
    from bringup.report.batch import batch_lines

    return "\n".join(batch_lines(Batch.from_dict(record)))


_WITHOUT = {
    "damaged": "verdict.json is damaged: how this run ended is not known; events and console log may tell",
    "goes on": "no verdict: this run goes on, see: bringup runs follow {run}",
    "killed": "no verdict: this run was killed; what it saw is in events and console log",
}


def _run_report(run: RunFolder) -> str:
    plan = run.read_json("plan.json") or {}
    verdict = run.read_json("verdict.json")
    lines = [f"run       {run.run_id}     {run.path}"]
    if plan.get("kind") == "verify":
        lines.append(f"plan      {plan['aim']} on {plan['board']}")
    elif plan:
        firmware = str(plan["firmware"]).upper()
        how = f"{firmware}, loader {plan['loader']}, until {_aim(plan)}"
        lines.append(f"board     {plan['board']} ({plan['profile']}), {how}")
        lines += [f"work      {plan['work']}"] if plan.get("work") else []
        lines.append(f"image     {image_line(plan['image'])}")
    if verdict is None:
        lines.append(_WITHOUT[run.without_verdict()].format(run=run.run_id))
        return "\n".join(lines)
    for stage in verdict.get("stages", ()):
        at = "      -" if stage["at_s"] is None else f"{stage['at_s']:6.1f} s"
        lines.append(f"{at}  {stage['name']:<12}  {stage['evidence']}")
    lines += [*verdict_lines(verdict), *disk_lines(run)]
    return "\n".join(lines)


def disk_lines(run: RunFolder) -> tuple[str, ...]:
    """Return what became of the disk that a run was about, or what it found there; nothing for other runs.

    Of the runs of a re-image the last one tells; those before it name that. Raises LabError for a damaged
    record.
    """
    with _read_whole(run):
        return tuple(_disk_lines(run))


def _disk_lines(run: RunFolder) -> Iterator[str]:
    if (reimaged := run.read_json(REIMAGE)) is not None:
        runs = reimaged["runs"]
        if runs[-1] == run.run_id:
            yield from reimaged_lines(reimaged)
        else:
            part = f"{runs.index(run.run_id) + 1} of {len(runs)}"
            yield f"then      bringup runs show {runs[-1]}     (this was run {part} of the re-image)"
    elif (seen := run.read_json(SLOTS)) is not None and seen.get("slots"):
        yield from slots_lines(seen["board"], seen)


def event_lines(run: RunFolder) -> Iterator[str]:
    """Yield the recorded events as text."""
    for event in run.events():
        yield f"{event.at_s:9.3f} s  {event.source:<8} {event.kind:<18} {event.text}"


def console_lines(run: RunFolder) -> Iterator[str]:
    """Yield the console log, each line with its time in the run, then that of the port it does not show."""
    for name in (CONSOLE, *PORT_LOGS):
        for number, (at_s, line) in enumerate(read_log(run.path, name)):
            if number == 0 and name in PORT_LOGS:
                yield f"-- {PORT_LOGS[name]} --"
            yield f"{'-':>9}    {line}" if at_s is None else f"{at_s:9.3f} s  {line}"


def _seconds(verdict: Mapping[str, Any]) -> str:
    at_s = verdict.get("at_s")
    return "an unknown time" if at_s is None else f"{at_s:.1f} s"
