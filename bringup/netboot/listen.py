"""What it means when a port cannot be listened on."""

from __future__ import annotations

import errno

from bringup.base.errors import LabError, PortBusyError

MAY_NOT = "run it with sudo, or give yourself the right once: bringup serve-rights --help"


def bind_error(service: str, protocol: str, address: str, port: int, error: OSError) -> LabError:
    """Return the error for an address and port that could not be taken, with what to do about it."""
    where = f"{protocol} port {port} of {address}"
    if error.errno == errno.EADDRINUSE:
        letter = "t" if protocol == "TCP" else "u"
        hint = f"see who has it: ss -lnp{letter} 'sport = :{port}'"
        return PortBusyError(f"{service} cannot listen on {where}: it is taken", hint=hint)
    if error.errno in (errno.EACCES, errno.EPERM):
        return LabError(f"this user may not listen on {where} for {service}", hint=MAY_NOT)
    if error.errno == errno.EADDRNOTAVAIL:
        hint = "give the interface that address, or correct it in lab.toml"
        return LabError(f"this host has no address {address} to serve {service} on", hint=hint)
    return LabError(f"{service} cannot listen on {where}: {error.strerror}")
