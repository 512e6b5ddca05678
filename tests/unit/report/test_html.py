"""Runs as HTML: whole, harmless whatever a console printed, and in need of nothing from elsewhere."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bringup.base.errors import LabError
from bringup.boot.folders import RunFolder
from bringup.report.html.run import run_html
from bringup.report.html.verify import verify_html
from bringup.report.verify import answer_lines
from bringup.vlab.description import load_description
from tests.unit.report.test_junit import body

_EMPTY = {"meta", "br", "img", "rect", "line", "!doctype"}


class Balance(HTMLParser):
    """Fails where a tag is not closed, and gathers what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {value}" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag in ("script", "link", "iframe", "object"):
            self.loads.append(tag)
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> str:
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert balance.loads == []
    assert not re.search(r"url\(|@import", page)
    return " ".join("".join(balance.text).split())


def verified(*checks: dict[str, Any]) -> dict[str, Any]:
    told = body(*({"limit": "l", "control": "c", **check} for check in checks))
    lab = json.loads(load_description().model_dump_json())
    passed = sum(check["status"] == "pass" for check in told["checks"])
    return {**told, "title": "Model I", "lab": lab, "pass": passed, "folder": "/runs/1", "engine": "kernel"}


def test_a_verify_page_has_the_answer_the_ladder_the_picture_and_rates() -> None:
    rates = {"mbit_s": {"a-b": 94.4, "b-a": 80.2, "a-internet": 372.0}}
    page = verify_html(verified({"id": "tunnel"}, {"id": "rate", "values": rates}))
    text = read(page)
    assert "model-1 holds: 2 passed, 0 failed, 0 not made" in text
    for word in (
        "PC A",
        "crypto B",
        "10.0.1.254",
        "→ 94 Mbit/s",
        "← 80 Mbit/s",
        "beside the tunnel 372 Mbit/s",
    ):
        assert word in text
    assert 'class="tunnel"' in page and page.count("<details") == 2


def test_what_failed_stands_open_with_its_evidence() -> None:
    failed = {
        "id": "no-clear",
        "status": "fail",
        "evidence": "site a: 5 frames | site b: 0",
        "excerpt": ["a > b"],
    }
    page = verify_html(verified({}, failed, {"id": "tunnel", "status": "fail"}))
    assert page.count('<details class="fail" open>') == 2
    text = read(page)
    assert "model-1 does not hold" in text and "site a: 5 frames" in text and "a > b" in text
    assert "no session" in text


def test_a_plan_of_which_nothing_was_made_does_not_hold() -> None:
    body = {
        **verified({"status": "skip", "evidence": "not testable here: why"}),
        "pass": 0,
        "fail": 0,
        "skip": 1,
    }
    page = read(verify_html(body))
    first = next(iter(answer_lines(body)))
    assert "nothing of model-1 was checked: 0 passed, 0 failed, 1 not made" in first
    for told in (page, first):
        assert "model-1 holds" not in told and not told.startswith("ok")


def test_the_setting_that_is_to_be_pasted_is_shown_whole() -> None:
    pasted = ["vm0.vm_irqs = [", *(f'    {{"source":{pin}}},' for pin in range(16, 20)), "];"]
    failed = {"status": "fail", "evidence": "e", "excerpt": [*pasted, "raw"], "values": {"vm_irqs": pasted}}
    lines = [line.strip() for line in answer_lines({**verified(failed), "fail": 1})]
    assert [line for line in lines if line in [each.strip() for each in pasted]] == [
        p.strip() for p in pasted
    ]
    assert "raw" not in lines


def test_what_a_console_printed_is_shown_and_not_obeyed() -> None:
    nasty = "<script>alert(1)</script>\x1b[31m\x00\u202e&amp;\ud800"
    told = verified({"status": "fail", "evidence": nasty})
    assert verify_html({**told, "lab": {**told["lab"], "title": nasty}}).encode()
    text = read(verify_html(verified({"status": "fail", "evidence": nasty, "excerpt": [nasty]})))
    assert "<script>alert(1)</script>" in text
    assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text


def test_guests_of_a_run_are_shown_with_the_end_of_their_consoles(tmp_path: Path) -> None:
    (tmp_path / "guest-0.log").write_text("first\n" * 50 + "guest login: root\n", encoding="utf-8")
    body = {**verified({"id": "boots"}), "scene": "guests", "folder": str(tmp_path), "engine": "QEMU"}
    text = read(verify_html(body))
    assert "Console of guest-0: its last 40 lines" in text and "guest login: root" in text
    assert "PC A" not in text and "nftables" not in text


def test_a_pipe_with_the_name_of_a_guests_console_holds_no_page_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "guest-0.log")
    told = {**verified({"id": "boots"}), "scene": "guests", "folder": str(tmp_path), "engine": "QEMU"}
    assert "Console of guest-0" in read(verify_html(told))


def boot_run(folder: Path, verdict: dict[str, Any] | None) -> RunFolder:
    run = RunFolder(folder / "2026-11-28-0001")
    run.path.mkdir()
    plan = {
        "board": "e300",
        "profile": "twin-e300-9d",
        "firmware": "bios",
        "loader": "ipxe",
        "until": "user-space",
    }
    run.write_json("plan.json", plan)
    if verdict is not None:
        run.write_json("verdict.json", verdict)
    (run.path / "console.log").write_bytes(b"Booting all finished\r\n<b>not bold</b>\r\n")
    return run


VERDICT = {
    "run": "2026-11-28-0001",
    "board": "e300",
    "verdict": "image",
    "cause": "the kernel needs VT-x and this CPU shows none",
    "stage": "kernel",
    "missing": "user-space",
    "seen": "console line 41: vt-x: not supported",
    "lines": ["vt-x: not supported"],
    "at_s": 5.4,
    "stages": [
        {"name": "power", "at_s": 0.5, "evidence": "confirmed"},
        {"name": "kernel", "at_s": 4.0, "evidence": "its first words"},
    ],
    "causes": [{"cause": "VT-x is off", "fix": "enable it"}],
}


def test_a_boot_page_has_verdict_stages_advice_and_console(tmp_path: Path) -> None:
    page = run_html(boot_run(tmp_path, VERDICT))
    text = read(page)
    assert "the kernel needs VT-x and this CPU shows none (fault: image, exit 11)" in text
    for word in ("VT-x is off: enable it", "its first words", "vt-x: not supported", "<b>not bold</b>"):
        assert word in text
    assert re.findall(r'<details class="(\w+)"', page) == ["pass", "pass", "fail"]


def test_the_page_of_a_re_image_says_what_its_disk_starts(tmp_path: Path) -> None:
    run = boot_run(tmp_path, {**VERDICT, "verdict": "ok", "cause": "reached user-space", "causes": []})
    told = {
        "before_id": None,
        "careful": None,
        "runs": [run.run_id],
        "board": "e300",
        "disk": {"model": "QEMU HARDDISK", "name": "sda", "serial": "TWIN0"},
        "action": "install",
        "slot": "A",
        "image_id": "1c06b491",
        "kept": True,
        "written": True,
        "bytes_sent": 1 << 20,
        "bytes_there": 0,
    }
    assert "starts from now on" not in read(run_html(run))
    run.write_json("reimage.json", told)
    assert "good 1c06b491 in slot A starts from now on" in read(run_html(run))


def test_a_run_without_a_verdict_says_so(tmp_path: Path) -> None:
    assert "no verdict: this run was killed" in read(run_html(boot_run(tmp_path, None)))


def test_a_damaged_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="are damaged"):
        run_html(boot_run(tmp_path, {**VERDICT, "stages": [{"name": 1}]}))


def test_a_check_that_was_not_made_says_why_at_once() -> None:
    page = verify_html(verified({}, {"id": "x", "status": "skip", "evidence": "not testable here: no card"}))
    summary = page.rpartition('<details class="skip">')[2].partition("</summary>")[0]
    assert "not testable here: no card" in summary and "1.5 s" not in summary
