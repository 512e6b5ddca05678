"""Model IV on played VMs: the tunnel, what goes beside it, and what leaves in clear when it is down."""

from __future__ import annotations

import pytest

from bringup.verify.plan import load_plan
from bringup.verify.probes import PROBES
from tests.doubles.vm_plans import Row, outcome

PLAN = load_plan("model-4", PROBES)
NOT_HERE = {"red-closed", "mtu"}


ROWS = (
    Row("right", {}),
    Row(
        "no-tunnel",
        {"tunnel": "no session: nothing was ever agreed with the peer"},
        frozenset({"ptp", "no-clear", "kill-switch"}),
    ),
    Row("leaks", {"kill-switch": "5 packets for private networks left while wg0 was down"}),
    Row(
        "in-clear",
        {"ptp": "5 of 5 answered by 10.0.2.10; the tunnel took 0 bytes out and 0 in; outside left 0 packets"},
        frozenset({"no-clear", "kill-switch"}),
    ),
    Row("copies", {"no-clear": "5 packets for private networks left (beside: 5 packets of the tunnel left)"}),
    Row(
        "takes-all",
        {
            "allowed-ips": "allowed: 0.0.0.0/0 (wanted 10.0.2.0/24 alone)",
            "split": "5 of 5 answered by 203.0.113.80; 0 packets left beside the tunnel",
        },
        frozenset({"kill-switch"}),
    ),
    Row("old-clock", {"clock": "behind this host's (at most 120 s); handshakes carry it (TAI64N)"}),
    Row(
        "dead",
        {"vm1": "vm1 gives no sign of life"},
        frozenset(
            {"vm1.card", "clock", "tunnel", "allowed-ips", "ptp", "split", "no-clear", "kill-switch", "rate"}
        ),
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_is_wrong_is_named_and_nothing_else(row: Row) -> None:
    row.holds(PLAN, NOT_HERE)


def test_an_absence_is_told_beside_its_controls() -> None:
    results = outcome(PLAN, "right")
    assert results["no-clear"].evidence == (
        "0 packets for private networks left; controls: 5 packets of the tunnel left"
    )
    kill = results["kill-switch"].evidence
    assert "0 packets for private networks left while wg0 was down" in kill
    assert "5 packets of the tunnel left" in kill and "5 packets beside the tunnel left meanwhile" in kill
    assert "0 of 5 answered meanwhile" in kill
    assert results["ptp"].values["left"]["tunnel"] == 5


def test_a_tunnel_that_was_taken_down_is_up_again_with_its_routes() -> None:
    again = [check for check in PLAN.check if check.id == "ptp"]
    twice = PLAN.model_copy(
        update={"check": (*PLAN.check, *(c.model_copy(update={"id": "again"}) for c in again))}
    )
    results = outcome(twice, "right")
    assert results["kill-switch"].ok and results["again"].ok, results["again"]
