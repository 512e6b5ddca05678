"""Failures that firmware and network boot ROMs tell of, before any loader of ours runs: data only.

Rows as in `kernel.py`. A ROM that fails hands on to the next boot device, so its messages end nothing by
themselves: they are why a stage is missing. What waits for a person ends the boot, unless it goes on.
"""

from __future__ import annotations

from bringup.transcript.markers import Failure

# PXE 2.1 appendix "Error codes"; option ROMs print them alike, EDK2 its own selection.
_PXE_ROM = "Intel Boot Agent user guide, PXE-Exx messages"
_PXE_EFI = "EDK2 NetworkPkg/UefiPxeBcDxe"
_APTIO = "AMI Aptio as users report it, not recorded"
_ASKS_S = 6.0


NOTHING_TO_BOOT = "nothing-to-boot"


def _rom(code: str, text: str, cause: str, why: str, fix: str, source: str = _PXE_ROM) -> Failure:
    """Return the row of a network boot ROM's message: the firmware goes on behind it."""
    return Failure(code, "lab", text, cause, why, fix, source, fatal=False)


def _waits(text: str, cause: str, fix: str, *, source: str = _APTIO, line_start: bool = False) -> Failure:
    """Return the row of a screen on which the firmware waits for a person."""
    return Failure("waits-for-key", "lab", text, cause, "it waits for a key", fix, source,
                   recovers=True, grace_s=_ASKS_S, line_start=line_start)  # fmt: skip


def _nothing(text: str, source: str) -> Failure:
    return Failure(NOTHING_TO_BOOT, "lab", text,
                   "the firmware found nothing to boot from",
                   "the network boot was not tried or failed",
                   "look at the lines before this one",
                   source, recovers=True, gives_up=True, grace_s=5.0)  # fmt: skip


def _unsigned(text: str, source: str) -> Failure:
    return Failure("secure-boot", "profile", text,
                   "Secure Boot refused what was served: it is not signed",
                   "Secure Boot is on",
                   "{advice:secure-boot}",
                   source, recovers=True, grace_s=5.0, where="board")  # fmt: skip


_CABLE = ("cable in another port", "plug it into the port that `bringup boards show` names")
_OPEN_PORTS = "open UDP 67, 69, 4011 and the ephemeral ports on the lab interface"
_OTHER_SERVER = (
    "another DHCP server answered first",
    "use an own segment, or proxy mode next to that server",
)
_PROXY_IGNORED = ("the firmware does not take proxyDHCP answers", 'use an own segment (mode = "own-segment")')
_LINES = "look at the lines before this one"

FIRMWARE = (
    _nothing("No bootable device.", "SeaBIOS src/boot.c"),
    _nothing("No bootable option or device was found", "EDK2 MdeModulePkg/Universal/BdsDxe"),
    _nothing("Reboot and Select proper Boot device", "AMI Aptio"),
    _nothing("UEFI Interactive Shell v", "EDK2 ShellPkg/Application/Shell/Shell.c"),
    _nothing("Press ESC in %d seconds to skip startup.nsh", "EDK2 ShellPkg/Application/Shell/Shell.c"),
    _waits("Aptio Setup Utility - Copyright", "the firmware shows its setup screen",
           "leave the setup; a key on the console or a boot override to setup leads there"),
    _waits("Press F1 to Run SETUP", "the firmware stopped and asks for F1", "{advice:post-errors}"),
    _waits("Press <F1> to continue", "the firmware stopped and asks for F1", "{advice:post-errors}"),
    _waits("Press F1 to continue", "the firmware stopped and asks for F1", "{advice:post-errors}"),
    _waits("Press F1 to Resume", "the firmware stopped and asks for F1", "{advice:post-errors}"),
    _waits("Press F2 to load default values", "the firmware stopped and asks for a key",
           "{advice:post-errors}"),
    _unsigned("Invalid signature detected. Check Secure Boot Policy", "AMI Aptio"),
    # BdsDxe: failed to load|start BootXXXX "NAME" [from PATH)]: STATUS
    *(_unsigned(f"{end}: {status}", "EDK2 MdeModulePkg/Universal/BdsDxe")
      for end in ('"', ")") for status in ("Access Denied", "Security Violation")),
    *(Failure("watchdog-fired", "profile", text,
              "the firmware says that a watchdog ended the boot before",
              "a watchdog is armed that nobody resets", "{advice:watchdog}",
              "POST error codes 8190 and 8198 of Intel server boards; FreeIPMI and ipmiutil have the words",
              fatal=False)
      for text in ("Watchdog timer failed on last boot", "OS boot watchdog timer failure",
                   "OS boot watchdog timer expired on last boot")),
    _rom("pxe-no-link", "PXE-E61:",
         "the network boot found no link",
         *_CABLE),
    _rom("pxe-no-link", ">>No Media Present",
         "the UEFI network boot found no link",
         *_CABLE, _APTIO),
    _rom("pxe-no-answer", "PXE-E51:",
         "the network boot got no DHCP offer",
         "no DHCP server answers on this segment", "check the interface bringup serves on"),
    _rom("pxe-no-answer", "PXE-E52:",
         "the network boot got proxyDHCP offers and no address",
         "the network's own DHCP server did not answer",
         'switch that server on, or use an own segment (mode = "own-segment")'),
    _rom("pxe-no-file", "PXE-E53:", "the DHCP offer named no boot file", *_OTHER_SERVER),
    _rom("pxe-no-answer", "PXE-E55:",
         "the proxyDHCP server did not answer on port 4011",
         "a firewall drops UDP 4011", _OPEN_PORTS),
    _rom("pxe-no-answer", "PXE-E11:",
         "the network boot got no ARP answer from the server",
         "the server's address is on another segment", "look at the address of this host in lab.toml"),
    _rom("pxe-tftp-timeout", "PXE-E32:", "the board's TFTP requests got no answer",
         "a firewall drops UDP 69", _OPEN_PORTS),
    _rom("pxe-tftp-timeout", "PXE-E35:", "the board's TFTP transfer broke off",
         "a bad link, or a firewall that drops the ephemeral ports", _OPEN_PORTS),
    _rom("pxe-tftp-error", "PXE-E23:", "the TFTP server refused what the board asked for", *_OTHER_SERVER,
         _PXE_EFI),
    _rom("pxe-tftp-error", "PXE-E36:", "the TFTP server refused what the board asked for", *_OTHER_SERVER),
    _rom("pxe-tftp-error", "PXE-T01:",
         "the board asked a TFTP server for a file that it has not", *_OTHER_SERVER),
    _rom("pxe-tftp-error", "PXE-E3B:",
         "the board asked a TFTP server for a file that it has not", *_OTHER_SERVER),
    _rom("pxe-tftp-error", "PXE-E38:", "the board could not open its TFTP connection",
         "the network boot ROM is at fault", "cycle the power and try again"),
    _rom("pxe-cancelled", "PXE-E21:", "the network boot was cancelled by a key",
         "a key was sent on the console", "do not type while the board starts"),
    _rom("pxe-cancelled", "PXE-EA0:", "the network boot was cancelled by a key",
         "a key was sent on the console", "do not type while the board starts"),
    _rom("pxe-cancelled", "PXE-EC8:", "the network boot ROM gave its resources back and could not go on",
         "the firmware and the ROM do not fit", "try the other firmware: --firmware uefi or --firmware bios"),
    _rom("pxe-menu", "PXE-E74:", "the PXE menu that the board was offered is unusable", *_OTHER_SERVER),
    _rom("pxe-menu", "PXE-E76:", "the list of boot servers that the board was offered is unusable",
         *_OTHER_SERVER),
    _rom("pxe-menu", "PXE-E77:", "the list of boot servers that the board was offered is unusable",
         *_OTHER_SERVER),
    _rom("pxe-menu", "PXE-E78:", "the network boot found no boot server", *_PROXY_IGNORED),
    _rom("pxe-too-big", "PXE-E79:", "the boot file is too big for the option ROM's memory",
         "another server's file, or a loader for UEFI", "--loader auto, and an own segment"),
    _rom("pxe-failed", "PXE-E99:", "the UEFI network boot met an error that it does not name",
         "the server's answer was not what the firmware expects", _LINES, _PXE_EFI),
    _rom("pxe-no-answer", "PXE-E18:",
         "the server did not answer the UEFI network boot in time",
         "a firewall drops UDP 69 or 4011", _OPEN_PORTS, _PXE_EFI),
    _rom("pxe-no-answer", "PXE-E16:",
         "the UEFI network boot got no usable DHCP offer",
         "no DHCP server answers, or the firmware ignores proxyDHCP",
         'use an own segment (mode = "own-segment")', _PXE_EFI),
    _rom("http-boot-failed", "Error: Could not retrieve NBP file size from HTTP server",
         "the firmware's own HTTP boot failed",
         "UEFI HTTP boot comes before the network boot by PXE", "{advice:http-boot}",
         "EDK2 NetworkPkg/HttpBootDxe"),
    Failure("pxe-gave-up", "lab", "PXE-M0F: Exiting",
            "the network boot ROM gave up",
            "see the message before this line",
            _LINES,
            _PXE_ROM, fatal=False, generic=True),
)  # fmt: skip
