"""From a person's request to a boot that can work, or a refusal before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import ProfileError
from bringup.base.firmware import Firmware
from bringup.base.stage import BOOT_STAGES, Stage
from bringup.boot.errand import Errand
from bringup.boot.place import segment_of
from bringup.boot.plan import Plan, StageLimit
from bringup.boot.request import BootRequest
from bringup.boot.step import Step, planned_steps
from bringup.boot.watch_request import QUIET_S, WatchRequest
from bringup.image.check import cautions, check, loaders_for, refuse
from bringup.image.model import BootFile, Image
from bringup.image.standin import played_by
from bringup.lab.inventory import Board
from bringup.netboot.loaders import SerialLine, Target, choose_route
from bringup.netboot.prepare import BootImage, LoadedFile, boot_set
from bringup.netboot.prepare import prepare as prepare_files
from bringup.netboot.spec import Route, Segment, ServeSpec, Upload, Visits
from bringup.transcript.suite import DRIVER
from bringup.transcript.vms import VmNames

if TYPE_CHECKING:
    from bringup.profile.model import Profile

Times = tuple[float, float]
"""The usual and the longest time of a stage after the one before it, in seconds."""

_UART_UNITS = {0x3F8: 0, 0x2F8: 1, 0x3E8: 2, 0x2E8: 3}


@dataclass(frozen=True)
class Prepared:
    """A boot that may begin: all that its steps are made from."""

    board: Board
    profile: Profile
    image: Image
    request: BootRequest
    segment: Segment
    serial: SerialLine
    route: Route
    watch: WatchRequest
    limits: tuple[StageLimit, ...]

    @property
    def console_detail(self) -> Mapping[str, Any]:
        """The console as a plan tells it."""
        return {
            "via": self.board.reader,
            "baud": self.serial.baud,
            "io_port": f"{self.board.kernel_port:#x}",
        }

    @property
    def has_second_port(self) -> bool:
        """Whether the port that the console does not show can be recorded."""
        return self.board.twin or self.board.console2 is not None

    def limit(self, stage: Stage) -> StageLimit:
        """Return how long a stage of this boot may take."""
        return next(limit for limit in self.limits if limit.stage == str(stage))

    def spec(
        self,
        folder: Path,
        segment: Segment,
        *,
        words: str = "",
        upload: Upload | None = None,
        visits: Visits | None = None,
    ) -> ServeSpec:
        """Write the loader's script into `folder` and return what is served on `segment`.

        `words` go to the kernel; `upload` and `visits` are what else the board may ask.
        """
        image = self.image
        if words:
            image = replace(image, kernel_args=f"{image.kernel_args} {words}")
        return prepare_files(
            boot_image(image),
            segment,
            folder,
            firmware=self.watch.firmware,
            loader=self.route.loader,
            serial=self.serial,
            upload=upload,
            visits=visits,
            memory_bytes=_memory_bytes(self.board, self.request),
        )

    def plan(
        self, steps: Sequence[Step], *, until: str, notes: Sequence[str] = (), work: str = "boot"
    ) -> Plan:
        """Return the plan of a run with these steps; `work` is what it is for."""
        board = self.board
        found = cautions(self.image, board.kernel_port, board.reader)
        told = (f"{caution.message}: {caution.fix}" for caution in found)
        return Plan(
            board=board.name,
            profile=self.profile.name,
            twin=board.twin,
            firmware=self.watch.firmware,
            loader=self.route.loader,
            until=until,
            aim=self.watch.aim,
            work=work,
            vms=self.watch.vms,
            image=self.image.to_dict(),
            steps=planned_steps(steps),
            limits=self.limits,
            unconfirmed=self._unconfirmed(),
            cautions=(*told, *self._assumed_port(), *notes),
        )

    def _assumed_port(self) -> tuple[str, ...]:
        """Say so where the kernel is sent to the SOL port though the console is another line."""
        if self.board.serial == "sol" or self.board.console_port is not None:
            return ()
        port = self.board.kernel_port
        return (
            f"{self.board.serial} is taken to end at the port that SOL reads, {port:#x}: "
            f"`console_port` of [boards.{self.board.name}] says where it does",
        )

    def _unconfirmed(self) -> tuple[str, ...]:
        """Name every inferred fact that this boot acts on."""
        known = {str(stage) for stage in BOOT_STAGES}
        stages = [f"stages.{limit.stage}" for limit in self.limits if limit.stage in known]
        return self.profile.unconfirmed("serial", "bmc", "firmware", *stages)


def prepare(
    board: Board,
    image: Image,
    request: BootRequest,
    errand: Errand | None = None,
    vm_names: VmNames | None = None,
) -> Prepared:
    """Return a boot of `image` that may begin; raises what forbids it: usage, image, profile, configuration.

    `errand` is what the job wants beyond the boot, `vm_names` the VMs as the image's build names them. Reads
    files and nothing else: no process is started, no packet sent.
    """
    profile = board.profile
    firmware = _firmware(profile, request.firmware)
    segment = segment_of(board)
    port, baud = board.kernel_port, board.line_rate
    image = image.with_serial(port, baud=baud)
    # What stops every loader first: it says more than "no loader for this".
    refuse(image, firmware, "auto")
    target = Target(_memory_bytes(board, request), segment.own_segment)
    route = _route(image, firmware, request.loader, target)
    refuse(image, firmware, route.starter)
    times: dict[Stage, Times] = {stage: _times(profile, stage) for stage in BOOT_STAGES}
    if errand is not None:
        times[errand.stage] = errand.expected_s, errand.timeout_s
    watch = replace(
        _watch(board, image, request, firmware, segment, times, vm_names),
        errand=errand,
        by_itself=request.until is None and errand is None and _ends_by_itself(image),
    )
    watch.reader()  # texts that are no expressions are refused here, not in the middle of a boot
    limits = tuple(
        StageLimit(str(stage), *times[stage])
        for stage in Stage
        if stage in times and stage <= watch.until and not (watch.reports and stage is Stage.USER_SPACE)
    )
    serial = SerialLine(unit=_unit(port), baud=baud)
    return Prepared(board, profile, image, request, segment, serial, route, watch, limits)


def boot_image(image: Image) -> BootImage:
    """Return what the network boot needs to know of an image."""
    kernel, modules = image.kernel, image.modules
    return BootImage(
        kernel=_loaded_file(kernel, image.kernel_args),
        modules=tuple(_loaded_file(module, "") for module in modules),
        kind=image.kind,
        multiboot1=image.multiboot1 is not None,
        multiboot2=image.multiboot2 is not None,
    )


def _loaded_file(file: BootFile, args: str) -> LoadedFile:
    return LoadedFile(file.path, file.size, args, file.sha256, file.changed_ns)


def _firmware(profile: Profile, wanted: Firmware | None) -> Firmware:
    supported = profile.firmware.supported.value
    firmware = wanted or profile.firmware.default.value
    if firmware not in supported:
        raise ProfileError(
            f"{profile.name} does not boot by {firmware}", hint=f"it boots by {', '.join(supported)}"
        )
    return firmware


def _route(image: Image, firmware: Firmware, wanted: str, target: Target) -> Route:
    """Return how the image is loaded; what only its files tell speaks against iPXE, too."""
    names = boot_set(boot_image(image))
    if wanted == "auto" and firmware is Firmware.BIOS and "ipxe" not in loaders_for(image, firmware):
        against = check(image, firmware, "ipxe")[0].message
        return replace(choose_route(firmware, names, "grub", target=target), why=f"not iPXE: {against}")
    return choose_route(firmware, names, wanted, target=target)


def _memory_bytes(board: Board, request: BootRequest) -> int | None:
    """Return how much memory the machine has, None where nobody knows."""
    return request.twin.memory << 20 if board.twin else None


def _unit(port: int) -> int:
    unit = _UART_UNITS.get(port)
    if unit is None:
        known = ", ".join(f"{each:#x}" for each in _UART_UNITS)
        raise ProfileError(f"no loader can write to a serial port at {port:#x}", hint=f"they know {known}")
    return unit


def _watch(
    board: Board,
    image: Image,
    request: BootRequest,
    firmware: Firmware,
    segment: Segment,
    times: Mapping[Stage, Times],
    vm_names: VmNames | None,
) -> WatchRequest:
    known = image.vms if vm_names is None else len(vm_names.vms)
    vms = known if request.vms is None else request.vms
    played = played_by(image.kernel_args) if image.is_standin else None
    last = Stage.KERNEL if image.is_firmware_probe else Stage.USER_SPACE
    return WatchRequest(
        firmware=firmware,
        until=request.until or (Stage.LOGIN if vms else last),
        until_texts=request.until_texts,
        fail_texts=request.fail_texts,
        quiet_s=0.0 if played is not None and not played.goes_on else QUIET_S,
        is_suite=bool(image.modules) and DRIVER in image.modules[0].name,
        for_s=request.for_s or 0.0,
        strict=request.strict,
        kind=image.kind,
        modules=len(image.modules),
        vms=vms,
        texts_s=times[Stage.LOGIN][1],
        prints=played.prints if played is not None else image.needs is None or image.needs.prints,
        reports=image.is_firmware_probe,
        macs=segment.macs,
        neighbours=board.neighbours,
        limits={stage: longest_s for stage, (_, longest_s) in times.items()},
        words=board.profile.words(board.kernel_port),
        vm_names=vm_names,
    )


def _ends_by_itself(image: Image) -> bool:
    """Return whether what an image is good for shows when it runs: a Linux or a Xen is good for anything."""
    return image.family in ("sel4", "stand-in", "other") and image.kind == "multiboot"


def _times(profile: Profile, stage: Stage) -> Times:
    times = profile.stages.of(stage)
    return times.expected_s, times.timeout_s
