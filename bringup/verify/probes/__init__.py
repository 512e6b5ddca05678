"""What gathers the evidence of a check, by the name that plans use; one module per topic."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bringup.verify.plan import Check
    from bringup.verify.result import Result

Probe = Callable[[Any, "Check"], "Result"]
"""What is given a scene and a check: `Scene`, or by the name's beginning `GuestScene` or `VmScene`."""

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
    **dict.fromkeys(("rekey-forced", "rekey-natural", "roam", "loss", "clock"), "sessions"),
    **dict.fromkeys(("wrong-key", "replay", "allowed-ips"), "crypto"),
    **dict.fromkeys(("guest-version", "guest-config", "guest-msi", "guest-nic", "guest-modules"), "guest"),
    **dict.fromkeys(("guest-boots", "guest-virtio", "guest-pci", "guest-tunnel", "guest-clock"), "guest"),
    **dict.fromkeys(("vm-boots", "vm-alive", "vm-card", "vm-bars", "vm-driver", "vm-msi"), "vm"),
    **dict.fromkeys(("vm-link", "vm-irq", "vm-ping", "vm-rate", "vm-rate-card"), "vm_network"),
    **dict.fromkeys(("vm-tunnel", "vm-ptp", "vm-split", "vm-allowed-ips"), "vm_tunnel"),
    **dict.fromkeys(("vm-clear", "vm-kill-switch", "vm-clock"), "vm_tunnel"),
}
PROBES = tuple(_MODULES)


def probe(name: str) -> Probe:
    """Return a probe by its name."""
    module = import_module(f"bringup.verify.probes.{_MODULES[name]}")
    found: Probe = getattr(module, name.replace("-", "_"))
    return found
