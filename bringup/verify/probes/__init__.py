"""What gathers the evidence of a check, by the name that plans use; one module per topic."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.verify.plan import Check
    from bringup.verify.result import Result
    from bringup.verify.scene import Scene

LabProbe = Callable[["Scene", "Check"], "Result"]

# name -> module; a probe's function is called as its name is, with underscores.
_MODULES = {
    **dict.fromkeys(("tunnel", "reaches", "handshake", "split", "dns", "rate"), "traffic"),
    **dict.fromkeys(("no-clear", "kill-switch"), "leaks"),
    **dict.fromkeys(("kill-red", "kill-route", "kill-crypto", "kill-black", "redirects"), "layers"),
    **dict.fromkeys(("route-rp", "ipv6"), "routing"),
    **dict.fromkeys(
        ("red-closed", "hidden", "bogon", "black-input", "black-forward", "red-forward"), "closed"
    ),
    **dict.fromkeys(("red-input", "red-private", "crypto-input"), "closed"),
    **dict.fromkeys(("mtu", "mss", "pmtu-hole"), "sizes"),
    **dict.fromkeys(("rekey-forced", "rekey-natural", "roam", "loss"), "sessions"),
    **dict.fromkeys(("wrong-key", "replay", "allowed-ips"), "crypto"),
}
PROBES = tuple(_MODULES)


def probe(name: str) -> LabProbe:
    """Return a probe by its name."""
    module = import_module(f"bringup.verify.probes.{_MODULES[name]}")
    found: LabProbe = getattr(module, name.replace("-", "_"))
    return found
