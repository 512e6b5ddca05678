"""What a recorded console proves, as text: the answer first, the lines behind it, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bringup.boot.recorded import Recording
from bringup.report.run import advice_lines, fault_words
from bringup.transcript.suite import test_words

_LINES_SHOWN = 8
_BOOTS_SHOWN = 8


def recording_dict(recording: Recording, source: str) -> dict[str, Any]:
    """Return the verdict on a recording as JSON data; `boots` has the earlier boots too, in short."""
    return {
        "source": source,
        "lines_read": recording.lines,
        "boot_count": recording.count,
        **recording.verdict.to_dict(),
        "boots": [
            {
                "first_line": boot.first_line,
                "last_line": boot.last_line,
                "verdict": boot.verdict.kind,
                "code": boot.verdict.code,
                "cause": boot.verdict.cause,
                "stage": None if boot.verdict.stage is None else str(boot.verdict.stage),
            }
            for boot in recording.boots
        ],
    }


def explain_lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield `recording_dict` as text."""
    if body["verdict"] == "ok":
        buts = body["but"]
        yield f"ok  {body['cause']}" + (f", but {buts[0]}" if buts else "")
        yield from (f"but       {but}" for but in buts[1:])
    else:
        yield f"{body['cause']}     ({fault_words(body['verdict'])})"
    yield from _reached(body)
    yield from _boots(body)
    suite = body["suite"]
    if suite is not None:
        yield f"tests     {_suite_words(suite)}"
    yield from _vms(body["vms"])
    for nic in body["nics"]:
        label = " ".join(str(nic[key]) for key in ("vm", "name", "driver", "address") if nic[key])
        yield f"NIC       {label}: {nic['words']}"
        yield from (f"          | {line}" for line in nic["lines"][:_LINES_SHOWN])
    yield from _seen(body)
    yield from advice_lines(body)


def _reached(body: Mapping[str, Any]) -> Iterator[str]:
    reached = body["stage"] or "nothing that is known"
    if body["missing"]:
        yield f"reached   {reached:<20}  missing   {body['missing']}"
    elif body["verdict"] in ("ok", "undecided"):
        yield f"reached   {reached}"
    else:
        yield f"reached   {reached}, then failed"


def _boots(body: Mapping[str, Any]) -> Iterator[str]:
    if body["boot_count"] < 2:
        return
    yield f"boots     {body['boot_count']} in this text, the last one counts"
    for boot in body["boots"][:-1][-_BOOTS_SHOWN:]:
        yield f"          lines {boot['first_line']}-{boot['last_line']}: {boot['verdict']}, {boot['cause']}"


def _suite_words(suite: Mapping[str, Any]) -> str:
    if suite["passed"]:
        return f"all passed{': ' + suite['result'] if suite['result'] else ''}"
    failed = f", failed: {', '.join(suite['failed'][:8])}" if suite["failed"] else ""
    return f"in test {test_words(suite['test'], suite['of'], suite['name'])}{failed}"


def _vms(vms: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield each VM; a guest and its VMM have one name only where the build told which is whose."""
    guests = [vm for vm in vms if vm["guest"] or vm["trouble"]]
    for vm in guests or vms:
        yield f"{vm['name']:<10}{_vm_words(vm)}"
    if len(guests) > 1 and any(vm["name"].startswith("guest ") for vm in guests):
        yield "          guests are numbered as they came: --image DIR names them by the build's *.cdl"


def _vm_words(vm: Mapping[str, Any]) -> str:
    if vm["trouble"]:
        return str(vm["trouble"])
    if vm["login"]:
        return "logged in"
    return "guest kernel started, no login" if vm["guest"] else "VMM started"


def _seen(body: Mapping[str, Any]) -> Iterator[str]:
    if body["seen"]:
        yield f"seen      {body['seen']}"
    for line in body["lines"][:_LINES_SHOWN]:
        yield f"          | {line.strip()}"
