"""What first contact leaves behind: facts for a unit's file, a page for the profile's authors; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bringup.profile.unit import UnitFact, UnitFile
from bringup.verify.hardware.facts import shown
from bringup.verify.runner import Checked

# What tells one model from another: where it does not hold, nothing that was measured is about this model.
_MODEL = "identity.baseboard_product"
_COUNTED = "pci.expected."


def another_board(checked: Sequence[Checked]) -> str | None:
    """Return why this unit is none of the profile's model, None where nothing says so."""
    for each in checked:
        if each.check.id == _MODEL and each.result.status == "fail":
            return f"its baseboard is a {each.result.values['measured']}"
    return None


def unit_file(board: str, profile: str, checked: Sequence[Checked], date: str) -> UnitFile:
    """Return what was measured; `date` is the day, ISO 8601."""
    facts = tuple(
        UnitFact(
            name=each.check.id,
            value=each.result.values["measured"],
            grade="measured",
            evidence=each.result.values["by"],
            date=date,
        )
        for each in checked
        if each.result.values.get("measured") is not None and not each.check.id.startswith(_COUNTED)
    )
    return UnitFile(board=board, profile=profile, facts=facts)


def upstream_page(title: str, profile: str, checked: Sequence[Checked], date: str, version: str) -> str:
    """Return the findings as Markdown, without what is this lab's alone: no names, addresses or serials."""
    return "\n".join([*_page(title, profile, checked, date, version), ""])


def _page(title: str, profile: str, checked: Sequence[Checked], date: str, version: str) -> Iterator[str]:
    groups = {
        status: [each for each in checked if each.result.status == status]
        for status in ("fail", "pass", "skip")
    }
    yield f"# First contact: {title}"
    yield ""
    counts = {status: len(found) for status, found in groups.items()}
    yield f"Profile `{profile}`, measured on one unit on {date} by bringup {version}:"
    yield f"{counts['fail']} facts corrected, {counts['pass']} confirmed or new, {counts['skip']} not tested."
    other = another_board(checked)
    if other:
        yield ""
        yield f"**This unit is not of the profile's model: {other}.**"
    for status, head in (("fail", "Corrected"), ("pass", "Confirmed and new")):
        if groups[status]:
            yield from ("", f"## {head}", "", "| fact | profile | measured | evidence |", "|---|---|---|---|")
            yield from (_row(each) for each in groups[status])
    if groups["skip"]:
        yield from ("", "## Not testable here", "")
        yield from (f"- `{each.check.id}`: {_reason(each)}" for each in groups["skip"])


def _row(each: Checked) -> str:
    values = each.result.values
    said = "" if values.get("grade") is None else f"{shown(values['profile'])} ({values['grade']})"
    measured = "-" if values.get("measured") is None else shown(values["measured"])
    cells = (f"`{each.check.id}`", said, measured, str(values.get("by", "")))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _reason(each: Checked) -> str:
    return each.result.evidence.removeprefix("not testable here: ")
