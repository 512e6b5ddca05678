"""What a build of the application was configured with: its CMakeCache.txt, and what lies beside it.

    build = read_build(Path("build"))
    build.flag("KernelIOMMU")                # True, False, or None where the cache does not have it
    build.number("KernelMaxNumIOAPIC")

Only what the checks ask for is kept. Names: seL4 config.cmake, camkes-vm camkes_vm_settings.cmake, util_libs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bringup.base.errors import UsageError
from bringup.base.regular_file import read_regular
from bringup.image.folder import KERNEL_MAX
from bringup.image.model import KERNEL_NAME
from bringup.image.needs import FEATURES, Feature, KernelNeeds, kernel_needs

CACHE_NAME = "CMakeCache.txt"
_CACHE_MAX = 16 << 20
_HEADER_MAX = 1 << 20

# Spelt both ways in seL4/seL4_projects_libs#114 and in texts about it.
TRANSLATION_VSPACE = ("LibSel4VMUseTranslationVspace", "LibSel4VMMUseTranslationVspace")

OPTIONS = (
    "CAmkESCPP",
    "CAmkESVMGuestDMAIommu",
    "KernelArch",
    "KernelIOMMU",
    "KernelIRQController",
    "KernelMaxNumIOAPIC",
    "KernelMaxNumNodes",
    "KernelMaxRMRREntries",
    "KernelPlatform",
    "KernelPrinting",
    "KernelRootCNodeSizeBits",
    "LibPCIDisplayFoundDevices",
    "LibPlatSupportX86ConsoleDevice",
    "LibSel4TestPrinterRegex",
    "PLATFORM",
    "RELEASE",
    "SIMULATION",
    *TRANSLATION_VSPACE,
    *(feature.option for feature in FEATURES),
)

# libpci's own `project(libpci)` makes CMake note where its sources are.
_LIBPCI = "libpci_SOURCE_DIR"
_HOME = "CMAKE_HOME_DIRECTORY"
_ENTRY = re.compile(r'"?([A-Za-z0-9_.+\-]+)"?:([A-Z]+)=(.*)')
_PCI_MAX_DEVICES = re.compile(r"^[ \t]*#[ \t]*define[ \t]+PCI_MAX_DEVICES[ \t]+(\d{1,9})\b", re.MULTILINE)

_TRUE = frozenset(("1", "ON", "YES", "TRUE", "Y"))
_FALSE = frozenset(("0", "OFF", "NO", "FALSE", "N", "IGNORE", "NOTFOUND", ""))


@dataclass(frozen=True, slots=True)
class Build:
    """A configured build. `options` are those of `OPTIONS` that the cache has, as text.

    `images` maps the names of the files in `images/` to their sizes in bytes; None where the folder does not
    exist, as before the first build. `pci_max_devices`: from the sources the build was configured with.
    `kernel`: what the one kernel among the images tells of its demands.
    """

    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, int] | None = None
    pci_max_devices: int | None = None
    kernel: KernelNeeds | None = None

    def text(self, name: str) -> str | None:
        """Return an option as it is written, None where the cache does not have it."""
        return self.options.get(name)

    def flag(self, name: str) -> bool | None:
        """Return an option as CMake's `if()` reads it, None where it is absent or no truth value."""
        value = self.options.get(name, "?").upper()
        if value in _TRUE:
            return True
        return False if value in _FALSE or value.endswith("-NOTFOUND") else None

    def number(self, name: str) -> int | None:
        """Return an option as a whole number, None where it is absent or something else."""
        value = self.options.get(name, "")
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None

    def demands(self, feature: Feature) -> bool | None:
        """Whether a kernel with these options demands a processor's feature, None where they do not say."""
        if feature.early and self.text("KernelSel4Arch") == "ia32":
            return False
        if feature.option == "KernelXSave" and self.text("KernelFPU") not in (None, "XSAVE"):
            return False
        value = self.text(feature.option)
        if value is None or feature.when != ("ON",):
            return None if value is None else value in feature.when
        return self.flag(feature.option)

    @property
    def root_cnode_bytes(self) -> int:
        """The memory of the root task's capability space, 0 where the options do not say its size.

        A slot has 32 bytes, 16 on ia32 (seL4_SlotBits).
        """
        bits = self.number("KernelRootCNodeSizeBits")
        slot = 16 if self.text("KernelSel4Arch") == "ia32" else 32
        return 0 if bits is None else slot << min(bits, 47)

    @property
    def translation_vspace(self) -> bool | None:
        """Whether the VMM maps guest memory through a translation vspace (seL4_projects_libs#114)."""
        flags = [self.flag(name) for name in TRANSLATION_VSPACE]
        return True if True in flags else (False if False in flags else None)


def find_build(folders: Iterable[Path]) -> Build | None:
    """Return the build that the first of these folders with a CMakeCache.txt is; raises as `read_build`."""
    found = next((folder for folder in folders if (folder / CACHE_NAME).is_file()), None)
    return None if found is None else read_build(found)


def read_build(folder: Path) -> Build:
    """Read a build folder (or its CMakeCache.txt, named itself); raises UsageError when it is none."""
    cache = folder if folder.name == CACHE_NAME else folder / CACHE_NAME
    text = _read(cache)
    options, places = parse_cache(text)
    images = _images(cache.parent / "images")
    libpci = places.get(_LIBPCI)
    return Build(
        cache.parent,
        options,
        images=images,
        pci_max_devices=_pci_max_devices(Path(libpci)) if libpci else None,
        kernel=_kernel(cache.parent / "images", images or {}),
    )


def configured_from(folder: Path) -> Path | None:
    """Return the folder of sources that a build was configured from, None where no cache tells."""
    cache = folder if folder.name == CACHE_NAME else folder / CACHE_NAME
    _, places = parse_cache((read_regular(cache, _CACHE_MAX) or b"").decode("utf-8", "replace"))
    return Path(places[_HOME]) if places.get(_HOME) else None


def parse_cache(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the options that matter and the folders of sources that are looked for, of a CMakeCache.txt.

    The last entry of a name counts, as for CMake; comments (`//`, `#`) and broken lines are passed over.
    """
    options: dict[str, str] = {}
    places: dict[str, str] = {}
    for line in text.splitlines():
        match = _ENTRY.match(line)
        if match is None:
            continue
        name, value = match[1], match[3].strip()
        if name in OPTIONS:
            options[name] = value
        elif name in (_LIBPCI, _HOME):
            places[name] = value
    return options, places


def _read(cache: Path) -> str:
    hint = "name the folder where cmake or ninja was run, with --build-dir"
    data = read_regular(cache, _CACHE_MAX + 1)
    if data is None and not cache.exists():
        raise UsageError(f"{cache.parent} is no build folder: it has no {CACHE_NAME}", hint=hint)
    if data is None:
        raise UsageError(f"{cache} cannot be read as a file", hint=hint)
    if len(data) > _CACHE_MAX:
        raise UsageError(f"{cache} has more than {_CACHE_MAX >> 20} MiB and is no {CACHE_NAME}", hint=hint)
    return data.decode("utf-8", "replace")


def _images(folder: Path) -> dict[str, int] | None:
    try:
        return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
    except OSError:
        return None


def _kernel(folder: Path, images: Mapping[str, int]) -> KernelNeeds | None:
    kernels = [match for name in images if (match := KERNEL_NAME.fullmatch(name))]
    if len(kernels) != 1 or images[kernels[0].string] > KERNEL_MAX:
        return None
    data = read_regular(folder / kernels[0].string, KERNEL_MAX)
    if data is None:
        return None
    return kernel_needs(data, 64 if kernels[0][1] == "x86_64" else 32)


def _pci_max_devices(libpci: Path) -> int | None:
    header = read_regular(libpci / "include" / "pci" / "pci.h", _HEADER_MAX)
    match = _PCI_MAX_DEVICES.search((header or b"").decode("utf-8", "replace"))
    return int(match[1]) if match else None
