"""From a person's request to a plan that can work, or a refusal before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import ProfileError, UsageError
from bringup.base.events import Emit
from bringup.base.firmware import Firmware
from bringup.base.stage import BOOT_STAGES, Stage
from bringup.boot.place import Site, open_site, segment_of
from bringup.boot.plan import BootRequest, Plan, StageLimit, make_plan
from bringup.boot.verdict import WatchRequest
from bringup.image.check import cautions, loaders_for, refuse
from bringup.image.folder import find_image
from bringup.image.model import BootFile as ImageFile
from bringup.image.model import Image
from bringup.lab.inventory import Board, Lab
from bringup.netboot.loaders import SerialLine, choose_route
from bringup.netboot.prepare import BootFile, BootImage, Segment, boot_set
from bringup.netboot.prepare import prepare as prepare_files
from bringup.probe import firmware_report, on_board

if TYPE_CHECKING:
    from bringup.profile.model import Profile

_MIB = 1 << 20
_UART_UNITS = {0x3F8: 0, 0x2F8: 1, 0x3E8: 2, 0x2E8: 3}


@dataclass(frozen=True)
class Prepared:
    """A boot that may begin: what it is, and how to make its parts when they are needed."""

    plan: Plan
    watch: WatchRequest
    board: Board
    profile: Profile
    image: Image
    segment: Segment
    serial: SerialLine
    request: BootRequest
    drift_notes: tuple[str, ...] = ()
    # The secret path that a capture is sent to; in no plan, event or image.
    upload_path: str | None = None

    @property
    def profile_as_used(self) -> dict[str, Any]:
        """The whole profile, as the run folder keeps it."""
        return self.profile.to_dict()

    def open_site(self, emit: Emit) -> AbstractContextManager[Site]:
        """Make the board reachable for the time of a context."""
        return open_site(self.board, emit, keep_twin=self.request.keep_twin)

    @contextmanager
    def netboot(self, site: Site, emit: Emit, folder: Path) -> Iterator[None]:
        """Serve the image for the time of a context; `folder` (in the run's own) takes the script."""
        from bringup.netboot.server import NetbootServer

        folder.mkdir(exist_ok=True)
        image, upload = self.image, None
        if self.upload_path is not None:
            words = on_board.ramdisk_words(self.segment, self.upload_path, twin=self.plan.twin)
            image = replace(image, kernel_args=f"{image.kernel_args} {words}")
            upload = on_board.upload_to(folder.parent, self.upload_path)
        spec = prepare_files(
            boot_image(image),
            self.segment,
            folder,
            firmware=self.plan.firmware,
            loader=self.plan.loader,
            serial=self.serial,
            upload=upload,
        )
        with NetbootServer(spec, emit, site.enter):
            yield


def prepare(
    lab: Lab,
    board_name: str,
    paths: Sequence[Path],
    request: BootRequest,
    *,
    append: str = "",
    module_mib: int = 1,
    config: Path | None = None,
    allow_drift: bool = False,
) -> Prepared:
    """Return a boot that may begin; raises what forbids it: usage, image, profile or configuration.

    `config` is the .camkes file the image was built from; where the board has drifted from what it was made
    for, the boot is refused unless `allow_drift`. Reads files and nothing else: no process is started but cpp
    for a `config` written by hand, no packet sent.
    """
    board = lab.board(board_name)
    profile = board.profile
    firmware = _firmware(profile, request.firmware)
    segment = segment_of(board)
    port = profile.serial.sol_port.value
    image = _image(board, paths, append, module_mib).with_serial(port, baud=_baud(board, profile))
    # What stops every loader first: it says more than "no loader for this".
    refuse(image, firmware, "auto")
    route = choose_route(firmware, boot_set(boot_image(image)), _loader(image, firmware, request.loader))
    refuse(image, firmware, route.loader)
    watch = _watch(profile, image, request, firmware, segment)
    # A capture is what tells of drift.
    drift_notes = () if request.until is Stage.CAPTURE else _drift_notes(board, paths, config, allow_drift)
    plan = make_plan(
        board=board.name,
        profile=profile.name,
        twin=board.twin,
        request=request,
        image=image.to_dict(),
        route=route,
        segment=segment,
        console=_console_detail(board, profile),
        watch=watch,
        limits=_limits(profile, image, watch),
        unconfirmed=_unconfirmed(profile, watch),
        cautions=(*(f"{caution.message}: {caution.fix}" for caution in cautions(image, port)), *drift_notes),
    )
    serial = SerialLine(unit=_unit(port), baud=_baud(board, profile))
    uploads = watch.until is Stage.CAPTURE and not watch.reports
    upload_path = on_board.new_upload_path() if uploads else None
    return Prepared(plan, watch, board, profile, image, segment, serial, request, drift_notes, upload_path)


def _drift_notes(board: Board, paths: Sequence[Path], config: Path | None, allow: bool) -> tuple[str, ...]:
    if config is None and not paths:
        return ()  # the stand-in image: it was made for no machine
    from bringup.boot.drift import check_drift

    return check_drift(board, paths, config=config, allow=allow)


def boot_image(image: Image) -> BootImage:
    """Return what the network boot needs to know of an image."""
    kernel, modules = image.kernel, image.modules
    return BootImage(
        kernel=_boot_file(kernel, image.kernel_args),
        modules=tuple(_boot_file(module, "") for module in modules),
        kind=image.kind,
        multiboot1=image.multiboot1 is not None,
        multiboot2=image.multiboot2 is not None,
    )


def _boot_file(file: ImageFile, args: str) -> BootFile:
    return BootFile(file.path, file.size, args, file.sha256, file.changed_ns)


def _image(board: Board, paths: Sequence[Path], append: str, module_mib: int) -> Image:
    if paths:
        return find_image(paths, append=append)
    if not board.twin:
        raise UsageError(
            f"no image named for {board.name}, which is a real board",
            hint=f"bringup boot {board.name} BUILD_FOLDER, or KERNEL MODULE",
        )
    from bringup.image.standin import standin_kernel, standin_module

    return find_image([standin_kernel(), standin_module(module_mib * _MIB)], append=append)


def _firmware(profile: Profile, wanted: Firmware | None) -> Firmware:
    supported = profile.firmware.supported.value
    firmware = wanted or profile.firmware.default.value
    if firmware not in supported:
        raise ProfileError(
            f"{profile.name} does not boot by {firmware}", hint=f"it boots by {', '.join(supported)}"
        )
    return firmware


def _loader(image: Image, firmware: Firmware, wanted: str) -> str:
    """Return the loader asked for; `auto` leaves the choice open only where every loader could do it."""
    if wanted == "auto" and "ipxe" not in loaders_for(image, firmware):
        return "grub"
    return wanted


def _unit(port: int) -> int:
    unit = _UART_UNITS.get(port)
    if unit is None:
        raise ProfileError(f"no loader can write to a serial port at {port:#x}", hint="serial.sol_port")
    return unit


def _baud(board: Board, profile: Profile) -> int:
    return board.baud or profile.serial.baud.value


def _console_detail(board: Board, profile: Profile) -> Mapping[str, Any]:
    return {
        "via": "Serial-over-LAN" if board.serial == "sol" else board.serial,
        "baud": _baud(board, profile),
        "io_port": f"{profile.serial.sol_port.value:#x}",
    }


def _watch(
    profile: Profile, image: Image, request: BootRequest, firmware: Firmware, segment: Segment
) -> WatchRequest:
    vms = request.vms if request.vms is not None else image.vms
    last = Stage.KERNEL if image.is_firmware_probe else Stage.USER_SPACE
    until = request.until or (Stage.LOGIN if vms else last)
    return WatchRequest(
        firmware=firmware,
        until=until,
        kind=image.kind,
        modules=len(image.modules),
        vms=vms,
        reports=image.is_firmware_probe,
        macs=segment.macs,
        limits={stage: _times(profile, stage, image)[1] for stage in Stage},
        words=profile.words(),
    )


def _unconfirmed(profile: Profile, watch: WatchRequest) -> tuple[str, ...]:
    """Name every inferred fact that this boot acts on."""
    stages = [f"stages.{stage}" for stage in _stages(watch) if stage is not Stage.CAPTURE]
    return profile.unconfirmed("serial", "bmc", "firmware", *stages)


def _stages(watch: WatchRequest) -> list[Stage]:
    """Return the stages that this boot may go through, in order."""
    stages = [*BOOT_STAGES, *([Stage.CAPTURE] if watch.until is Stage.CAPTURE else [])]
    if watch.reports:
        stages.remove(Stage.USER_SPACE)
    return [stage for stage in stages if stage <= watch.until]


def _limits(profile: Profile, image: Image, watch: WatchRequest) -> tuple[StageLimit, ...]:
    return tuple(StageLimit(stage, *_times(profile, stage, image)) for stage in _stages(watch))


def _times(profile: Profile, stage: Stage, image: Image) -> tuple[float, float]:
    """Return the usual and the longest time to `stage`; that of the capture is the probe's own business."""
    if stage is not Stage.CAPTURE:
        times = profile.stages.of(stage)
        return times.expected_s, times.timeout_s
    source = firmware_report if image.is_firmware_probe else on_board
    return source.EXPECTED_S, source.TIMEOUT_S
