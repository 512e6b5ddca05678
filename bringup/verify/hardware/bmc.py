"""Asks a BMC for what first contact wants to know; whatever it refuses stays unknown, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bringup.base.errors import LabError
from bringup.ipmi.client import IpmiClient
from bringup.ipmi.settings import (
    SUPERMICRO,
    address_source,
    cipher_suites,
    device_id,
    lan_mode,
    sol_settings,
)
from bringup.power.base import Override
from bringup.verify.hardware.seen import BmcSeen

T = TypeVar("T")


def ask_bmc(client: IpmiClient, override: Override | None) -> BmcSeen:
    """Return what a BMC tells; raises LabError where nobody can log in to it. Changes nothing."""
    client.login()
    why: dict[str, str] = {}

    def ask(name: str, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except LabError as error:
            why[name] = error.message
            return None

    told: dict[str, Any] = {}
    device = ask("firmware", lambda: device_id(client))
    if device is not None:
        told |= {"manufacturer": device.manufacturer, "firmware": device.firmware}
    sol = ask("sol_enabled", lambda: sol_settings(client))
    if sol is not None:
        told |= {"sol_enabled": sol.enabled, "sol_baud": sol.baud}
        if sol.baud is None:
            why["sol_baud"] = "SOL takes the speed of the board's serial port"
    told["suites"] = ask("suites", lambda: cipher_suites(client))
    told["address_source"] = ask("address_source", lambda: address_source(client))
    if told.get("manufacturer") == SUPERMICRO:
        told["lan_mode"] = ask("lan_mode", lambda: lan_mode(client))
    else:
        why["lan_mode"] = "only Supermicro's BMCs are known to tell it by this command"
    if override is None:
        why["override"] = "this board's power driver has no boot override"
    else:
        told["override"] = ask("override", lambda: str(override.read()))
    return BmcSeen(**told, why=why)
