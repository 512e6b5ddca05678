"""Failures that network boot tells of: option ROMs, the firmware's own PXE and HTTP boot. Data only.

Rows as in `kernel.py`. A ROM that fails hands on to the next boot device, so its messages end nothing by
themselves: they are why a stage is missing. Option ROMs and EDK2 give some numbers different meanings; such a
row says what both have in common.
"""

from __future__ import annotations

from bringup.transcript.markers import Failure

# Option ROMs print them alike, EDK2 its own selection (E98: older trees). A number that neither has is known
# by its form alone, below.
_ROM = "the list of PXE error codes of Intel's option ROMs, in Broadcom's knowledge base, article 152549"
_EFI = "EDK2 NetworkPkg/UefiPxeBcDxe PxeBcBoot.c"
_APTIO = "AMI Aptio as users report it, not recorded"

_CABLE = ("cable in another port", "plug it into the port that `bringup boards show` names")
_OPEN_PORTS = "open UDP 67, 69, 4011 and the ephemeral ports on the lab interface"
_OTHER_SERVER = (
    "another DHCP server answered first",
    "use an own segment, or proxy mode next to that server",
)
_PROXY_IGNORED = ("the firmware does not take proxyDHCP answers", 'use an own segment (mode = "own-segment")')
_NO_FIT = (
    "the firmware and the ROM do not fit",
    "try the other firmware: --firmware uefi or --firmware bios",
)
_KEY = ("a key was sent on the console", "do not type while the board starts")
_NIC = (
    "the controller or its ROM is set up badly or damaged",
    "cycle the power; if it comes again, bring firmware and ROM up to date, or use the other port",
)
_BAD_LINK = ("a bad link, or a firewall that drops the ephemeral ports", _OPEN_PORTS)
_LINES = "look at the lines before this one"


def _rom(
    code: str,
    text: str,
    cause: str,
    why: str,
    fix: str,
    source: str = _ROM,
    *,
    also: tuple[str, ...] = (),
    generic: bool = False,
) -> Failure:
    """Return the row of a network boot ROM's message: the firmware goes on behind it."""
    return Failure(code, "lab", text, cause, why, fix, source, fatal=False, generic=generic, also=also)


def _numbered(
    code: str, numbers: str, cause: str, why: str, fix: str, source: str = _ROM
) -> tuple[Failure, ...]:
    """Return a row of each of the numbered messages, as `E61 T01`."""
    return tuple(
        _rom(code, f"PXE-{number}:", cause, why, fix, source, also=(f"PXE {number}%:",))
        for number in numbers.split()
    )


PXE = (
    *_numbered("pxe-no-link", "E61", "the network boot found no link", *_CABLE),
    *_numbered("pxe-no-link", "E12", "the UEFI network boot found no link", *_CABLE, _EFI),
    _rom("pxe-no-link", ">>No Media Present",
         "the UEFI network boot found no link",
         *_CABLE, _APTIO, also=("checking media presence%sno media [present|detected]",)),
    *_numbered("pxe-no-answer", "E51",
               "the network boot got no DHCP offer",
               "no DHCP server answers on this segment", "check the interface bringup serves on"),
    *_numbered("pxe-no-answer", "E52",
               "the network boot got proxyDHCP offers and no address",
               "the network's own DHCP server did not answer",
               'switch that server on, or use an own segment (mode = "own-segment")'),
    *_numbered("pxe-no-file", "E53", "the DHCP offer named no boot file", *_OTHER_SERVER),
    *_numbered("pxe-no-answer", "E55",
               "the proxyDHCP server did not answer on port 4011",
               "a firewall drops UDP 4011", _OPEN_PORTS),
    *_numbered("pxe-no-answer", "E11",
               "the network boot got no ARP answer from the server",
               "the server's address is on another segment", "look at the address of this host in lab.toml"),
    *_numbered("pxe-no-answer", "E18",
               "the server did not answer the UEFI network boot in time",
               "a firewall drops UDP 69 or 4011", _OPEN_PORTS, _EFI),
    *_numbered("pxe-no-answer", "E16",
               "the UEFI network boot got no usable DHCP offer",
               "no DHCP server answers, or the firmware ignores proxyDHCP",
               'use an own segment (mode = "own-segment")', _EFI),
    *_numbered("pxe-tftp-timeout", "E32", "the board's TFTP requests got no answer",
               "a firewall drops UDP 69", _OPEN_PORTS),
    *_numbered("pxe-tftp-timeout", "E35", "the board's TFTP transfer broke off", *_BAD_LINK),
    *_numbered("pxe-tftp-timeout", "E39", "the board's TFTP transfer broke off", *_BAD_LINK),
    *_numbered("pxe-tftp-error", "E22 E98",
               "the server's host refused packets (ICMP), or the ROM refused the boot file's signature",
               "no TFTP server runs on the host that the board asks, or a firewall rejects UDP 69",
               _OPEN_PORTS, _EFI),
    *_numbered("pxe-tftp-error", "E23", "the TFTP server refused what the board asked for", *_OTHER_SERVER,
               _EFI),
    *_numbered("pxe-tftp-error", "E36 E3A E3C E3F T00 T02 T03 T04 T05 T06 T07",
               "the TFTP server refused what the board asked for", *_OTHER_SERVER),
    *_numbered("pxe-tftp-error", "E3B E89 T01",
               "the board asked a TFTP server for a file that it has not", *_OTHER_SERVER),
    _rom("pxe-tftp-error", "NBP filesize is 0 Bytes",
         "the boot file that the board was offered is empty or not there", *_OTHER_SERVER, _EFI,
         also=("NBP filesize is 0 bytes",)),
    *_numbered("pxe-tftp-error", "E38", "the board could not open its TFTP connection",
               "the network boot ROM is at fault", "cycle the power and try again"),
    *_numbered("pxe-cancelled", "EA0", "the network boot was cancelled by a key", *_KEY),
    *_numbered("pxe-cancelled", "E21",
               "the network boot was cancelled by a key (UEFI), or the option ROM is damaged (BIS)",
               *_KEY, _EFI),
    *_numbered("pxe-menu", "E74", "the PXE menu that the board was offered is unusable", *_OTHER_SERVER),
    *_numbered("pxe-menu", "E76 E77",
               "the list of boot servers that the board was offered is unusable", *_OTHER_SERVER),
    *_numbered("pxe-menu", "E78 E88", "the network boot found no boot server", *_PROXY_IGNORED),
    *_numbered("pxe-too-big", "E79", "the boot file is too big for the option ROM's memory",
               "another server's file, or a loader for UEFI", "--loader auto, and an own segment"),
    *_numbered("pxe-nic", "E01 E04 E07 E08 E09 E60 E63 E64 E65 E66 E67 E68 E69",
               "the network boot could not use its controller", *_NIC),
    *_numbered("pxe-nic", "E05",
               "the controller's EEPROM is damaged (option ROM), or the boot file grew on the way (UEFI)",
               *_NIC),
    *_numbered("pxe-rom", "E00 E06 E20 E84 EC1 EC3 EC4 EC5 EC6 EC8 EC9",
               "the network boot ROM could not set itself up", *_NO_FIT),
    *_numbered("pxe-rom", "E24 E25 E26 E27 E28",
               "the network boot ROM could not prove where its boot file comes from (BIS)", *_NO_FIT),
    *_numbered("pxe-failed", "E99", "the UEFI network boot met an error that it does not name",
               "the server's answer was not what the firmware expects", _LINES, _EFI),
    _rom("pxe-failed", "Boot Failed. EFI Network",
         "the firmware's network boot failed",
         "no answer, or one that the firmware does not expect", _LINES,
         "Insyde H2O and AMI Aptio as users report it, not recorded", generic=True,
         also=("[PXE E|PXE T]%2%:",
               "boot failed [efi|uefi|legacy|] [network|pxe|ipv4|ipv6|lan]",
               "[network|pxe|lan] boot [failed|aborted|failure]",
               "[could not|cannot|unable to|failed to] boot [from |][network|pxe|lan]")),
    _rom("http-boot-failed", "Error: Could not retrieve NBP file size from HTTP server",
         "the firmware's own HTTP boot failed",
         "UEFI HTTP boot comes before the network boot by PXE", "{advice:http-boot}",
         "EDK2 NetworkPkg/HttpBootDxe",
         also=("error could not retrieve NBP file [size |]from http server",
               "error [could not detect network connection|server response timeout|unexpected network error]",
               "error [remote boot cancelled|buffer size is smaller than the requested file]")),
    Failure("pxe-gave-up", "lab", "PXE-M0F: Exiting",
            "the network boot ROM gave up",
            "see the message before this line",
            _LINES,
            _ROM, fatal=False, generic=True,
            also=("PXE M0F exiting", "exiting [intel boot agent|pxe rom|broadcom pxe rom|intel pxe rom]")),
)  # fmt: skip
