"""From a person's request to a plan that can work, or a refusal before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.errors import ProfileError, UsageError
from bringup.events import Emit
from bringup.firmware import Firmware
from bringup.image.check import cautions, loaders_for, refuse
from bringup.image.folder import find_image
from bringup.image.model import BootFile as ImageFile
from bringup.image.model import Image
from bringup.lab import Board, Lab
from bringup.netboot.loaders import SerialLine, choose_route
from bringup.netboot.prepare import BootFile, BootImage, Segment, boot_set
from bringup.netboot.prepare import prepare as prepare_files
from bringup.plan import BootRequest, Plan, StageLimit, make_plan
from bringup.site import Site, open_site, segment_of
from bringup.stage import Stage
from bringup.verdict import WatchRequest

if TYPE_CHECKING:
    from bringup.profile_model import Profile

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

    @property
    def profile_as_used(self) -> dict[str, Any]:
        """The whole profile, as the run folder keeps it."""
        return self.profile.to_dict()

    def open_site(self, emit: Emit) -> AbstractContextManager[Site]:
        """Make the board reachable for the time of a context."""
        return open_site(self.board, emit, keep_twin=self.request.keep_twin)

    @contextmanager
    def netboot(self, site: Site, emit: Emit, folder: Path) -> Iterator[None]:
        """Serve the image for the time of a context; `folder` takes the loader's script."""
        from bringup.netboot.server import NetbootServer

        folder.mkdir(exist_ok=True)
        spec = prepare_files(
            boot_image(self.image),
            self.segment,
            folder,
            firmware=self.plan.firmware,
            loader=self.plan.loader,
            serial=self.serial,
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
) -> Prepared:
    """Return a boot that may begin; raises what forbids it: usage, image, profile or configuration.

    Reads files and nothing else: no process is started, no packet sent.
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
        limits=_limits(profile, watch),
        unconfirmed=_unconfirmed(profile, watch),
        cautions=tuple(f"{caution.message}: {caution.fix}" for caution in cautions(image)),
    )
    serial = SerialLine(unit=_unit(port), baud=_baud(board, profile))
    return Prepared(plan, watch, board, profile, image, segment, serial, request)


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
    until = request.until or (Stage.LOGIN if vms else Stage.USER_SPACE)
    return WatchRequest(
        firmware=firmware,
        until=until,
        kind=image.kind,
        modules=len(image.modules),
        vms=vms,
        macs=segment.macs,
        limits={stage: profile.stages.of(stage).timeout_s for stage in Stage},
    )


def _unconfirmed(profile: Profile, watch: WatchRequest) -> tuple[str, ...]:
    """Name every inferred fact that this boot acts on."""
    stages = [f"stages.{stage}" for stage in Stage if stage <= watch.until]
    return profile.unconfirmed("serial", "bmc", "firmware", *stages)


def _limits(profile: Profile, watch: WatchRequest) -> tuple[StageLimit, ...]:
    wanted = [stage for stage in Stage if stage <= watch.until]
    times = [(stage, profile.stages.of(stage)) for stage in wanted]
    return tuple(StageLimit(stage, time.expected_s, time.timeout_s) for stage, time in times)
