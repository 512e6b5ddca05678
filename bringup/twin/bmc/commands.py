"""Every command the BMC knows, in one table; pure: the same for the LAN and for the board's own side."""

from __future__ import annotations

from bringup.twin.bmc import access as bmc_access
from bringup.twin.bmc import app as bmc_app
from bringup.twin.bmc import events as bmc_events
from bringup.twin.bmc import power as bmc_power
from bringup.twin.bmc import sdr as bmc_sdr
from bringup.twin.bmc import transport as bmc_transport
from bringup.twin.bmc.request import Code, Privilege, RefusedError, Request, Response, Shared, Table

COMMANDS: Table = {
    **bmc_app.TABLE,
    **bmc_access.TABLE,
    **bmc_power.TABLE,
    **bmc_sdr.TABLE,
    **bmc_events.TABLE,
    **bmc_transport.TABLE,
}


def execute(request: Request, bmc: Shared) -> Response:
    """Run one command; whatever is wrong with the request becomes a completion code, never an exception.

    Order of checks (IPMI 2.0 appendix G and table 5-2): known command, privilege, length, then its fields.
    """
    command = COMMANDS.get((request.netfn, request.command))
    if command is None:
        # Before login nothing is told about which commands exist.
        before_login = request.privilege is Privilege.NONE
        return Response(Code.INSUFFICIENT_PRIVILEGE if before_login else Code.INVALID_COMMAND)
    if request.privilege < command.privilege:
        return Response(Code.INSUFFICIENT_PRIVILEGE)
    if len(request.data) < command.minimum:
        return Response(Code.LENGTH_INVALID)
    try:
        return Response(Code.OK, command.handler(request, bmc))
    except RefusedError as refused:
        return Response(refused.code)
