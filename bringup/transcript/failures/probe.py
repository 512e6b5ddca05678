"""What the probes say when something goes wrong (probes/linux/init, probes/firmware/main.c): data only."""

from __future__ import annotations

from bringup.transcript.markers import Failure

_INIT = "probes/linux/init of this tool"
_MAIN = "probes/firmware/main.c of this tool"

PROBE = (
    Failure("probe-port", "lab", "bringup probe: trouble: no port has the MAC",
            "the ramdisk found no network port with the board's MAC",
            "the ramdisk has no driver for the boot port",
            "boot from a port with an Intel, Broadcom, Realtek or virtio controller",
            _INIT, fatal=False),
    Failure("probe-link", "lab", "bringup probe: trouble: no link on",
            "the ramdisk's network port found no link",
            "the driver brings the port up at another speed, or the cable is out",
            "look at the port's LED while the ramdisk runs",
            _INIT, fatal=False),
    Failure("probe-address", "lab", "bringup probe: trouble: no address by DHCP",
            "the ramdisk was given no address",
            "the switch port learns for 30 s after each link-up",
            "spanning tree: portfast on this port",
            _INIT, fatal=False),
    Failure("probe-sending", "lab", "bringup probe: trouble: sending failed",
            "the ramdisk could not send its capture by HTTP",
            "a firewall on this host",
            "open the TCP port of the HTTP server to the board",
            _INIT, fatal=False),
    Failure("probe-collecting", "lab", "bringup probe: trouble: the capture failed",
            "the ramdisk could not make the capture",
            "too little memory, or a kernel without /sys",
            "look at this line's reason",
            _INIT),
    Failure("firmware-probe-exception", "image", "bringup firmware probe: exception %d at 0x",
            "the firmware probe crashed",
            "this machine has something that it does not expect",
            "probe with Linux instead (--linux-probe), and report the console log",
            _MAIN),
    Failure("firmware-probe-loader", "image",
            "bringup firmware probe: loaded by something that speaks neither",
            "the firmware probe was started by a loader that is not multiboot",
            "started as a Linux kernel",
            "use the loaders of this tool (--loader auto)",
            _MAIN),
)  # fmt: skip
