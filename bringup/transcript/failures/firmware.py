"""Failures that firmware tells of, before any loader of ours runs: data only.

Rows as in `kernel.py`; what network boot says is in `pxe.py`. What waits for a person ends the boot, unless
it goes on. Firmware makers word one thing in many ways: a row has one wording and, in `also`, the others.
"""

from __future__ import annotations

from bringup.transcript.markers import Failure

_APTIO = "AMI Aptio as users report it, not recorded"
_ASKS_S = 6.0
_DEVICES = "[device|devices|disk|disks|drive|drives|media|medium]"
_FOR_F1 = ("the firmware stopped and asks for F1", "{advice:post-errors}")
_LEAVE = "leave the setup; a key on the console or a boot override to setup leads there"


NOTHING_TO_BOOT = "nothing-to-boot"


def _waits(
    text: str,
    cause: str,
    fix: str,
    *also: str,
    source: str = _APTIO,
    line_start: bool = False,
    early: bool = False,
) -> Failure:
    """Return the row of a screen on which the firmware waits for a person."""
    return Failure("waits-for-key", "lab", text, cause, "it waits for a key", fix, source, recovers=True,
                   grace_s=_ASKS_S, line_start=line_start, early=early, also=also)  # fmt: skip


def _nothing(text: str, source: str, *also: str, line_start: bool = False, early: bool = False) -> Failure:
    return Failure(NOTHING_TO_BOOT, "lab", text,
                   "the firmware found nothing to boot from",
                   "the network boot was not tried or failed",
                   "look at the lines before this one",
                   source, recovers=True, gives_up=True, grace_s=5.0,
                   line_start=line_start, early=early, also=also)  # fmt: skip


def _unsigned(text: str, source: str, *also: str, grace_s: float = 5.0, early: bool = False) -> Failure:
    return Failure("secure-boot", "profile", text,
                   "Secure Boot refused what was served: it is not signed",
                   "Secure Boot is on",
                   "{advice:secure-boot}",
                   source, recovers=True, grace_s=grace_s, where="board", early=early, also=also)  # fmt: skip


FIRMWARE = (
    _nothing("No bootable device", "SeaBIOS src/boot.c",
             f"no [bootable|boot] {_DEVICES} [is |are |was |were |has been |have been |could be |]"
             "[available|found|detected|present|installed|attached]",
             f"no [bootable|boot] {_DEVICES} [hit|press|strike|insert|please|system halted]",
             f"no bootable {_DEVICES}", "no bootable [image|partition|operating system]",
             f"no [valid|more|usable|active] [boot|bootable] {_DEVICES}",
             "no [valid|more|usable] boot [option|options|target]",
             f"[unable to|could not|cannot|failed to] find [a |any |][boot|bootable] {_DEVICES}",
             "[unable to|could not|cannot|failed to] find [a |any |][boot|bootable] option"),
    _nothing("No bootable option or device was found", "EDK2 MdeModulePkg/Universal/BdsDxe",
             "no bootable option or device [was |]found",
             "press any key to enter the boot manager menu",
             "all boot options are tried",
             "no uefi compatible file system was found"),
    _nothing("Reboot and Select proper Boot device", "AMI Aptio",
             "reboot and select [a |the |]proper boot device",
             "insert [a |the |][boot|bootable|recovery|system] [media|medium|disk|disc|device]",
             "please ensure [that |][a |]compatible bootable media"),
    _nothing("Operating System not found", "Phoenix and Insyde BIOS as users report it, not recorded",
             "[operating system|os] [not|was not|wasn't|could not be] [found|detected]",
             "no [operating system|os] [was |is |][found|detected|installed|available]",
             "[missing|error loading|could not load] operating system",
             "unable to [find|locate] [an |the |]operating system",
             "operating system load error",
             "[device|disk|media] available or operating system detected", early=True),
    _nothing("Non-System disk or disk error", "BIOS messages of the IBM PC and those after it",
             "non system disk [or disk |]error", "[invalid|replace] [the |]system disk",
             "boot failure [insert|press|strike|system halted]",
             "[bootmgr|ntldr] is missing", "a disk read error occurred", early=True),
    _nothing("Boot Device Not Found", "HP, Insyde and Dell firmware as users report it, not recorded",
             "boot [device|devices|disk|media] [is |are |was |were |]"
             "[not found|not available|missing|unavailable|not detected|not present]",
             "[selected|default|current] boot device [is |has |]failed",
             "boot [device|devices|disk|media] [could not|cannot|can not] be [found|detected]", early=True),
    _nothing("UEFI Interactive Shell v", "EDK2 ShellPkg/Application/Shell/Shell.c",
             "[uefi|efi] [interactive |]shell [version |v]%d"),
    _nothing("Press ESC in %d seconds to skip startup.nsh", "EDK2 ShellPkg/Application/Shell/Shell.c",
             "seconds to skip startup.nsh"),
    _nothing("Shell> ", "EDK2 ShellPkg/Application/Shell/Shell.c", line_start=True, early=True),
    _waits("Aptio Setup Utility - Copyright", "the firmware shows its setup screen", _LEAVE,
           "aptio setup [utility |]-[ami|american|copyright]"),
    _waits("BIOS SETUP UTILITY", "the firmware shows its setup screen", _LEAVE,
           "[bios|cmos|amibios|phoenixbios|awardbios|awardbios cmos|insydeh2o|insydeh20|insyde|lenovo"
           "|thinkpad|rom based|hp computer|dell|supermicro] setup [utility|program]",
           "[lenovo|phoenix|phoenix awardbios] [bios|cmos] setup [utility|program]",
           "[phoenix |]securecore%s setup [utility|]",
           "[insydeh2o|thinkpad|hp computer|dell system] setup",
           "system configuration and boot management",
           "bios/platform configuration",
           "system setup main menu",
           source="titles of setup screens: AMI, Phoenix, Insyde, Lenovo, HPE and Dell; not recorded",
           line_start=True, early=True),
    _waits("Please select boot device", "the firmware shows its boot menu", _LEAVE,
           "please [select|enter|choose] [a |the |]boot [device|option]", early=True),
    _waits("Enter Setup Password", "the firmware asks for a password",
           "clear the password in the firmware setup",
           "enter [bios |system |][setup|user|system|bios|power-on|boot|current] password",
           "enter [supervisor|administrator|admin] password", early=True),
    _waits("Press F1 to Run SETUP", *_FOR_F1),
    _waits("Press <F1> to continue", *_FOR_F1),
    _waits("Press F1 to continue", *_FOR_F1),
    _waits("Press F1 to Resume", *_FOR_F1),
    _waits("Strike the F1 key to continue", "the firmware stopped and asks for a key", "{advice:post-errors}",
           "F%d [key |][to |= |for |][continue|resume|retry|proceed|ignore]",
           "F%d: [continue|resume|retry|proceed|ignore]",
           "[press|strike|hit|touch] [the |]F%d [key |]to run [the |][setup|bios|system setup]",
           "[press|hit|strike] [the |][enter|esc|escape|return|space|spacebar|y|del] [key |]to "
           "[continue|resume|retry|proceed]",
           "[press|hit|strike] any key to [resume|reboot|restart|retry]",
           "[press|hit|strike] any key to continue with [the |]boot",
           "[press|hit|strike] any key to continue or [c|f|d|press|load|enter]",
           # The number of a power-on self-test's error; a GRUB has none there, and goes on by itself.
           "error [code |]%d%s[press|hit|strike] any key",
           source="Dell, HPE, Lenovo and Insyde firmware as users report it, not recorded", early=True),
    _waits("Press F2 to load default values", "the firmware stopped and asks for a key",
           "{advice:post-errors}",
           "F%d [key |]to load [default values|defaults|optimal|optimized|setup default]"),
    _unsigned("Invalid signature detected", "AMI Aptio",
              "invalid signature detected", "secure boot violation",
              "system found unauthorized changes on the firmware"),
    # BdsDxe: failed to load|start BootXXXX "NAME" [from PATH)]: STATUS
    *(_unsigned(f"{end}: {status}", "EDK2 OvmfPkg/Library/PlatformBmPrintScLib/StatusCodeHandler.c")
      for end in ('"', ")") for status in ("Access Denied", "Security Violation")),
    _unsigned("Image failed to verify", "Lenovo, HP, Insyde and Dell firmware, by users",
              "failed to [load|start|verify|authenticate|boot]%s[access denied|security violation]",
              "image [did not|failed to] [authenticate|verify]",
              "image [authentication|verification|authorization] fail",
              "[due to|because of] [a |][security|secure boot] [policy |]violation",
              "blocked by [the |][current |][security|secure boot] policy",
              "because of the secure boot policy", "prohibited by [the |]secure boot",
              "[denied|rejected|refused|blocked|forbidden] by [uefi |]secure boot",
              "secure boot [image |signature |][verification|authentication|validation] [fail|error]",
              "[image|kernel|loader|binary|driver|file] is [not signed|unsigned|not authorized|not trusted]",
              "loader [failed signature verification|has no signature|signature not found]",
              early=True),
    _unsigned("Verification failed: (0x1A) Security Violation", "shim shim.c, errlog.c; GRUB kern/efi/sb.c",
              "[verification|verify|verifying|verified|authenticate|sbat|import_mok_state]%s"
              "[security violation|security policy violation]",
              "[load|start][_| |]image%s[security violation|security policy violation|access denied]",
              "bad shim [lock |loader |]signature", "shim [lock |]protocol[s|] not found",
              "secure boot forbids", "has invalid signature",
              "bootloader has not verified loaded image",
              "verification requested but nobody cares",
              # A GRUB says some of this before its menu, too, and goes on.
              grace_s=20.0, early=True),
    *(Failure("watchdog-fired", "profile", text,
              "the firmware says that a watchdog ended the boot before",
              "a watchdog is armed that nobody resets", "{advice:watchdog}",
              "POST error codes 8190 and 8198 of Intel server boards; FreeIPMI and ipmiutil have the words",
              fatal=False)
      for text in ("Watchdog timer failed on last boot", "OS boot watchdog timer failure",
                   "OS boot watchdog timer expired on last boot")),
)  # fmt: skip
