"""One scripted board: what it does from power-on to power-off (asyncio)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from bringup.twin.scripted import texts
from bringup.twin.scripted.boot_image import BootImage, read_boot_image
from bringup.twin.scripted.disk import BoardDisk
from bringup.twin.scripted.grub import start_disk
from bringup.twin.scripted.ipxe import follow
from bringup.twin.scripted.network import Fetched, Lease, NetworkError, Nic
from bringup.twin.scripted.ramdisk import ROLE, Ramdisk

_SELF_TEST_S, _KERNEL_S = 0.5, 0.3
_BIOS, _UEFI = 0, 7
_IPXE = ("undionly.kpxe", "snponly.efi")
_VMS = "vms"
# A guest works while keys still come: as many as its port holds, and some to spare.
_KEYS_A_STEP = 8


@dataclass(frozen=True)
class Nature:
    """What a board is like: its boot port, whether that has a link, the seconds of its self-test, its disk.

    Without a disk of its own it says that some system starts from one. `patience` is how much of the time
    that GRUB waits for a key it waits. With VT-x off (`no_vtx`) no image comes to user space.
    """

    nic: Nic
    no_link: bool = False
    post_s: float = _SELF_TEST_S
    disk: BoardDisk | None = None
    patience: float = 1.0
    no_vtx: bool = False


class ScriptedBoard:
    """A board; `say` takes what it prints, `reset` is called when it resets itself."""

    def __init__(self, nature: Nature, say: Callable[[str], None], reset: Callable[[], None]) -> None:
        self._nature = nature
        self._say = say
        self._reset = reset
        self._life: asyncio.Task[None] | None = None
        self._typed: asyncio.Queue[str] = asyncio.Queue()

    def on(self, *, network: bool, uefi: bool) -> None:
        """Begin a boot, from the network or the disk."""
        self.off()
        self._typed = asyncio.Queue()
        self._life = asyncio.get_running_loop().create_task(self._live(network=network, uefi=uefi))

    def off(self) -> None:
        """Stop at once, whatever it does."""
        if self._life is not None:
            self._life.cancel()
            self._life = None

    def hear(self, text: str) -> None:
        """Take what is typed on its console."""
        for char in text:
            self._typed.put_nowait(char)

    async def _key_within(self, keys: str, seconds: float) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds * self._nature.patience):
                while (char := await self._typed.get()) not in keys:
                    pass
                return char
        return ""

    async def _live(self, *, network: bool, uefi: bool) -> None:
        self._say(texts.POST)
        await asyncio.sleep(self._nature.post_s)
        if not network:
            await self._boot_disk(uefi=uefi)
            return
        with contextlib.suppress(NetworkError):
            await self._boot_network(_UEFI if uefi else _BIOS)
            return
        self._say(texts.NOTHING)

    async def _boot_disk(self, *, uefi: bool) -> None:
        disk = self._nature.disk
        if disk is None:
            self._say(texts.DISK)
            return
        started = await start_disk(disk, uefi=uefi, say=self._say, key_within=self._key_within)
        if not started.loader:
            self._say(texts.NOTHING)
        elif started.loaded is not None:
            await self._run_image(started.loaded.arguments, started.loaded.modules)

    async def _boot_network(self, arch: int) -> None:
        nic = self._nature.nic
        self._say(texts.EFI_ROM if arch else texts.ROM.format(mac=nic.mac.upper()))
        if self._nature.no_link:
            self._say(texts.NO_LINK)
            raise NetworkError("no-link")
        try:
            lease = await nic.ask(arch)
            if not lease.file:
                self._say(texts.EFI_GIVES_UP if arch else texts.NO_FILE)
                raise NetworkError("no-file")
            fetched = await nic.fetch_tftp(lease.server, lease.file)
        except NetworkError as error:
            self._say(texts.EFI_GIVES_UP if arch else texts.GIVES_UP.get(error.kind, ""))
            raise
        if lease.file.endswith(_IPXE):
            await self._run_ipxe(arch)
        elif (image := read_boot_image(fetched.start, fetched.end)) is not None:
            await self._run_boot_image(image)
        else:
            self._say(texts.NOT_PLAYED.format(file=lease.file))

    async def _run_ipxe(self, arch: int) -> None:
        nic = self._nature.nic
        self._say(texts.IPXE)
        try:
            script = await self._fetch_script(await nic.ask(arch, ipxe=True))
        except NetworkError as error:
            self._say(f"{texts.IPXE_SAYS.get(error.kind, error.kind)}\r\n")
            return
        loaded = await follow(script.start.decode("latin-1"), nic.fetch_http, self._say)
        if loaded is not None and loaded.boot_image is not None:
            await self._run_boot_image(loaded.boot_image)
        elif loaded is not None:
            await self._run_image(loaded.arguments or "", loaded.modules)

    async def _run_boot_image(self, image: BootImage) -> None:
        for line in image.lines():
            self._say(f"{line}\r\n")
        await self._run_image(image.arguments, len(image.modules))

    async def _fetch_script(self, lease: Lease) -> Fetched:
        """Fetch what DHCP names: by its URL, or from the TFTP server of whoever named it."""
        nic = self._nature.nic
        if "://" in lease.file:
            return await nic.fetch_http(lease.file)
        self._say(f"tftp://{lease.server}/{lease.file}... ")
        return await nic.fetch_tftp(lease.server, lease.file)

    async def _run_image(self, arguments: str, modules: int) -> None:
        """Say what the stand-in image says, and of its plays those that faults ask for; or be the ramdisk."""
        if ROLE in arguments.split():
            await self._be_ramdisk(arguments)
            return
        played = next((word[5:] for word in arguments.split() if word.startswith("play=")), "")
        self._say(texts.KERNEL.format(arguments=arguments))
        if played == "hang:kernel":
            return
        await asyncio.sleep(_KERNEL_S)
        self._say(texts.LOADED.format(modules=modules))
        await asyncio.sleep(_KERNEL_S)
        if played == "vtx-locked" or self._nature.no_vtx:
            self._say(texts.VTX_LOCKED)
        elif played == "reboot":
            self._reset()
        else:
            self._say(texts.USER_SPACE)
            if played.startswith(_VMS):
                await self._be_vms(played.removeprefix(_VMS).removeprefix(":") or "right")

    async def _be_vms(self, case: str) -> None:
        """Be the VMs of a case: their guests have real shells, everything they see is made."""
        from bringup.twin.scripted.vms.play import STEP_S, PlayedVms
        from bringup.twin.scripted.vms.world import CASES

        if case not in CASES:
            self._say(f"no such case of VMs: {case}; there are {', '.join(CASES)}\r\n")
            return
        self._say(f"\r\nscripted board: three VMs are played: {CASES[case].about}\r\n")
        loop = asyncio.get_running_loop()
        with contextlib.closing(PlayedVms(case, lambda data: self._say(data.decode("latin-1")))) as vms:
            vms.boot()
            then_s = loop.time()
            while True:
                await asyncio.sleep(STEP_S)
                while not self._typed.empty():
                    vms.hear(self._typed.get_nowait().encode("latin-1", "replace"))
                    vms.pass_time(STEP_S / _KEYS_A_STEP)
                now_s = loop.time()
                vms.pass_time(min(now_s - then_s, 1.0))
                then_s = now_s

    async def _be_ramdisk(self, arguments: str) -> None:
        nature = self._nature
        url = next((word[12:] for word in arguments.split() if word.startswith("bringup.url=")), "")
        self._say(texts.RAMDISK)
        await Ramdisk(url, nature.nic.connect, nature.disk).serve()
