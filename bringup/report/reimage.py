"""A re-image, slots and a rollback as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bringup.base.size import rough_size
from bringup.disk.state import other


def reimaged_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a re-image ended, from its JSON data, after the verdict of its last run."""
    board, slot, image_id = told["board"], told["slot"], told["image_id"]
    if not told["written"]:
        yield f"disk      {_not_written(told)}"
        return
    disk = told["disk"]
    there = f", {rough_size(told['bytes_there'])} were there" if told["bytes_there"] else ""
    yield (
        f"disk      {disk['model'] or disk['name']}, serial {disk['serial'] or 'none'}: slot {slot} has "
        f"{image_id}, {rough_size(told['bytes_sent'])} sent{there}; overwritten, not erased"
    )
    if told["careful"]:
        yield f"careful   {told['careful']}"
    if told["kept"]:
        yield f"good      {image_id} in slot {slot} starts from now on"
        if told["before_id"] and told["before_id"] != image_id:
            yield f"back      bringup rollback {board}      starts {told['before_id']} again"
    elif told["kept"] is None:
        yield f"good      not known: the key was pressed that keeps {image_id}, and nobody saw what it did"
        yield f"look      bringup slots {board}"
    elif told["action"] == "update":
        before = told["before_id"] or "the image before"
        if before == image_id:  # sent once more: only the slot tells them apart
            before, image_id = f"{before} in slot {other(slot)}", f"slot {slot}"
        yield f"good      {before} starts at the next reset: {image_id} was not kept"
    if told.get("came_up") and not told["kept"]:
        yield f"keep it   bringup slots {board} --confirm {told['image_id']}"


def _not_written(told: Mapping[str, Any]) -> str:
    if not told["begun"]:
        return "nothing was written" + (": what it holds is as it was" if told["disk"] else "")
    if told["action"] == "update":
        return f"nothing of it counts: {told['before_id'] or 'the image before'} starts as before"
    return (
        "nothing of it counts: it boots nothing until an installation has ended; "
        "the same command goes on where this ended"
    )


def reimaged_words(told: Mapping[str, Any]) -> str:
    """Return in a few words what a re-image that went well came to, from its JSON data."""
    return f"slot {told['slot']}: {told['image_id']}" + ("" if told["kept"] else ", on trial")


def slots_lines(board: str, seen: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is in a board's slots, from its JSON data."""
    disk = seen["disk"]
    size = rough_size(disk["size_bytes"])
    yield f"{board}  {disk['model'] or disk['name']}, {size}, serial {disk['serial'] or 'none'}"
    for letter, slot in seen["slots"].items():
        yield f"  {letter}  {slot['role']:<8}  {_slot(slot)}"
    if not all(seen["states_valid"]):
        bad = [str(number) for number, valid in enumerate(seen["states_valid"], 1) if not valid]
        yield f"careful   state file {' and '.join(bad)} cannot be read; the next update writes both"
    if seen["careful"]:
        yield f"careful   {seen['careful']}"
    for slot in seen["slots"].values():
        if slot["role"] == "tried" and slot["manifest"]:
            # The disk tells that it was started, and not how that ended.
            keep = f"bringup slots {board} --confirm {slot['manifest']['image_id']}"
            yield f"keep it   {keep}     (if you saw it come up)"
    if seen["chosen"]:
        yield f"slot {seen['chosen']} starts from now on"


def slots_words(seen: Mapping[str, Any]) -> str:
    """Return in a few words what a board's disk starts, from its JSON data."""
    good = seen["good"]
    manifest = seen["slots"][good]["manifest"] if good else None
    return f"slot {good}: {manifest['image_id']}" if manifest else f"slot {good or 'none'}"


def _slot(slot: Mapping[str, Any]) -> str:
    manifest = slot["manifest"]
    if manifest is None:
        return slot["problem"] or "no image"
    size = rough_size(sum(file["size"] for file in manifest["files"]))
    by = f"by {manifest['written_by']}" if manifest["written_by"] else ""
    return f"{manifest['image_id']}  {manifest['title']}  {size}  {manifest['written_at']} {by}".rstrip()
