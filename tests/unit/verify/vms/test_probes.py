"""What probes make of answers that no played VM gives: drivers that fail, storms, counters that disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from bringup.base.errors import NotObservedError
from bringup.verify.plan import load_plan
from bringup.verify.probes import PROBES, probe
from bringup.verify.result import Result
from bringup.verify.vms.protocol import Answer
from bringup.verify.vms.scene import VmScene
from bringup.verify.vms.talk import Vms
from tests.doubles.vm_plans import BELIEVED, RUNS

PLAN = load_plan("model-3", PROBES)
FUNCTION = "F 0000:00:01.0 0x8086 0x1521 10"
DRIVEN = f"{FUNCTION}\nD igb\nN eth1"
IPERF = "[  5]   0.00-5.00   sec  93.8 MBytes   150 Mbits/sec                  receiver"


class Saying:
    """VMs that answer by a word of the command: each time the next text, the last one for ever."""

    told = ""

    def __init__(self, answers: dict[str, Sequence[str]], codes: dict[str, int]) -> None:
        self._answers = {word: list(texts) for word, texts in answers.items()}
        self._codes = codes

    def run(self, vm: int, command: str, timeout_s: float = 0.0) -> Answer:
        code = next((code for word, code in self._codes.items() if word in command), 0)
        texts = next((texts for word, texts in self._answers.items() if word in command), [""])
        text = texts.pop(0) if len(texts) > 1 else texts[0]
        return Answer(code, tuple(text.splitlines()))


def ended(check_id: str, *, codes: dict[str, int] | None = None, **answers: Sequence[str]) -> Result:
    check = next(check for check in PLAN.check if check.id == check_id)
    by_word = {"bus/pci": [DRIVEN], **answers}
    vms = cast("Vms", Saying(by_word, codes or {}))
    return probe(check.probe)(VmScene(vms, PLAN.vm, RUNS, BELIEVED), check)


def test_a_driver_that_failed_is_told_by_its_own_words() -> None:
    words = "igb: probe of 0000:00:01.0 failed with error -5"
    told = ended("vm0.driver", **{"bus/pci": [FUNCTION], "dmesg": [f"igb: loaded\n{words}"]})
    assert (told.status, told.evidence) == ("fail", f"0000:00:01.0 8086:1521: {words}")
    told = ended("vm0.driver", **{"bus/pci": [f"{FUNCTION}\nD igb"]})
    assert told.status == "fail" and "its driver made no network card" in told.evidence


def test_a_storm_is_no_wrong_pin() -> None:
    told = ended("vm0.irq", interrupts=["10: 5 XT-PIC eth1"], dmesg=["irq 10: nobody cared"])
    assert told.status == "fail" and "level_trig is 1, or two VMs have one pin" in told.evidence
    assert "candidates" not in told.values


def test_a_link_that_does_not_say_how_fast_it_is_was_not_observed() -> None:
    told = ended("vm0.link", carrier=["1\nup\n-1"])
    assert (told.status, told.evidence) == ("skip", "not observed: eth1 does not say how fast its link is")
    assert ended("vm0.link", carrier=["0\ndown\n-1"]).status == "fail"


def rate(*counters: str, codes: dict[str, int] | None = None) -> Result:
    return ended("rate", codes=codes, rx_bytes=counters, **{"iperf3 -c": [IPERF]})


def test_a_rate_is_believed_where_both_counts_agree() -> None:
    assert rate("1000", str(1000 + 98 * 10**6)).values["mbit_s"] == 156.8
    for grown in (50 * 10**6, 200 * 10**6):
        told = rate("1000", str(1000 + grown))
        assert told.status == "fail" and "they do not agree" in told.evidence
        assert "mbit_s" not in told.values


def test_without_iperf3_or_a_counter_nothing_was_measured() -> None:
    told = rate("0", codes={"iperf3 -s": 127})
    assert (told.status, told.evidence) == ("skip", "vm1 has no iperf3")
    with pytest.raises(NotObservedError, match="vm1 has no counter of eth0: sh: can't cd"):
        rate("sh: can't cd to /sys/class/net/eth0/statistics")
