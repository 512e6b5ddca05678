"""A file system made of files: each in one run of clusters, so that its place on the disk is known.

Only what is used has to be written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bringup.disk.fat.entries import (
    ARCHIVE,
    DIRECTORY,
    ENTRY_BYTES,
    FAT12_CLUSTERS,
    FAT16_CLUSTERS,
    LABEL,
    NAME,
    short_name,
)
from bringup.disk.pieces import Piece, Pieces, Zeros

# Fewest and most clusters of each kind. Drivers differ by a few near the borders; the specification advises
# to keep 16 away.
_KINDS = (
    (12, 1, FAT12_CLUSTERS - 16),
    (16, FAT12_CLUSTERS + 16, FAT16_CLUSTERS - 16),
    (32, FAT16_CLUSTERS + 16, (1 << 28) - 16),
)
_LOWER_CASE = 0x18
_DATE_1980 = 0x21
_MEDIA = 0xF8
_COPIES = 2
_FAT32_RESERVED = 32


@dataclass(frozen=True, slots=True)
class FatFile:
    """A file to put in: its path with `/` between 8.3 names, such as `EFI/BOOT/BOOTX64.EFI`."""

    path: str
    content: Pieces


@dataclass(frozen=True, slots=True)
class FatImage:
    """A file system of `size` bytes; `used` are its first bytes, behind which nothing matters.

    `places` has (offset, length) in bytes of each file by its path.
    """

    size: int
    used: Pieces
    places: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class FatShape:
    """How a file system is laid out; sizes in bytes. `root_entries` counts for FAT12 and FAT16 only.

    `hidden_sectors` is what lies in front of it on the disk, which some firmware reads.
    """

    size: int
    sector_bytes: int = 512
    cluster_bytes: int = 4096
    root_entries: int = 512
    label: str = "BRINGUP"
    volume_id: int = 0x42524E47
    hidden_sectors: int = 0


@dataclass(frozen=True, slots=True)
class _Geometry:
    shape: FatShape
    bits: int
    reserved: int
    fat_sectors: int
    root_sectors: int
    clusters: int

    @property
    def data_at(self) -> int:
        """The byte where cluster 2 begins."""
        sectors = self.reserved + _COPIES * self.fat_sectors + self.root_sectors
        return sectors * self.shape.sector_bytes

    @property
    def end_mark(self) -> int:
        """What the last cluster of a chain has in the table."""
        return (1 << min(self.bits, 28)) - 1


@dataclass(slots=True)
class _Node:
    """A folder or a file on its way in."""

    content: Pieces | None = None
    children: dict[str, _Node] = field(default_factory=dict)
    cluster: int = 0


def make_fat(files: Sequence[FatFile], shape: FatShape) -> FatImage:
    """Return a file system with these files; raises ValueError when they do not fit, or a name is not 8.3."""
    geometry = _geometry(shape)
    root = _tree(files)
    chains = list(_placed(root, geometry))
    need = chains[-1][0] + chains[-1][1] - 2 if chains else 0
    if need > geometry.clusters:
        raise ValueError(f"the files take {need} clusters, and {geometry.clusters} are there")
    if geometry.bits != 32 and len(root.children) + 1 > shape.root_entries:
        raise ValueError(f"the root folder has room for {shape.root_entries} names")
    parts = [*_front(geometry, chains, need), *_data(root, geometry)]
    places = {
        path: (geometry.data_at + (node.cluster - 2) * shape.cluster_bytes, node.content.size)
        for path, node in _walk(root)
        if node.content is not None and node.cluster
    }
    return FatImage(shape.size, Pieces.of(*parts), places)


def _geometry(shape: FatShape) -> _Geometry:
    """Return a geometry with a number of clusters well inside of its kind, some fewer if need be."""
    sector = shape.sector_bytes
    per_cluster = max(shape.cluster_bytes // sector, 1)
    for lost in range(16):
        sectors = shape.size // sector - lost * 4 * per_cluster
        for bits, least, most in _KINDS:
            root = 0 if bits == 32 else -(-shape.root_entries * ENTRY_BYTES // sector)
            reserved = _FAT32_RESERVED if bits == 32 else 1
            fat = -(-(sectors // per_cluster + 2) * bits // (8 * sector))
            # A cluster begins at a multiple of its size, so that a page of the disk belongs to one file.
            reserved += -(reserved + _COPIES * fat + root) % per_cluster
            clusters = (sectors - reserved - _COPIES * fat - root) // per_cluster
            if least <= clusters <= most:
                return _Geometry(shape, bits, reserved, fat, root, clusters)
    raise ValueError(f"no file system of {shape.size} bytes with clusters of {shape.cluster_bytes}")


def _tree(files: Sequence[FatFile]) -> _Node:
    root = _Node()
    for file in files:
        *folders, name = file.path.split("/")
        node = root
        for folder in folders:
            node = node.children.setdefault(_checked(folder), _Node())
        if name in node.children:
            raise ValueError(f"two files are called {file.path}")
        node.children[_checked(name)] = _Node(file.content)
    return root


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name of at most 8 and 3 characters")
    return name


def _walk(node: _Node, above: str = "") -> Iterator[tuple[str, _Node]]:
    """Yield everything below a folder, folders first of all in front of what is in them."""
    for name, child in node.children.items():
        yield above + name, child
    for name, child in node.children.items():
        yield from _walk(child, f"{above}{name}/")


def _in_order(root: _Node, bits: int) -> Iterator[_Node]:
    """Yield what gets clusters, in their order: folders, then files as they were named."""
    nodes = [node for _, node in _walk(root)]
    if bits == 32:
        yield root
    yield from (node for node in nodes if node.content is None)
    yield from (node for node in nodes if node.content is not None and node.content.size)


def _placed(root: _Node, geometry: _Geometry) -> Iterator[tuple[int, int]]:
    """Give everything its first cluster; yield (first, count) of each."""
    cluster_bytes, following = geometry.shape.cluster_bytes, 2
    for node in _in_order(root, geometry.bits):
        size = (len(node.children) + 2) * ENTRY_BYTES if node.content is None else node.content.size
        count = -(-size // cluster_bytes)
        node.cluster = following
        yield following, count
        following += count


def _front(geometry: _Geometry, chains: Sequence[tuple[int, int]], used: int) -> Iterator[Piece]:
    """Yield boot sector, tables and root folder's place: all in front of the clusters."""
    shape = geometry.shape
    boot = _boot_sector(geometry)
    reserved = bytearray(geometry.reserved * shape.sector_bytes)
    reserved[: len(boot)] = boot
    if geometry.bits == 32:
        info = struct.pack(
            "<I480xIII12xI", 0x41615252, 0x61417272, geometry.clusters - used, used + 2, 0xAA550000
        )
        for copy in (0, 6):
            at = copy * shape.sector_bytes
            reserved[at : at + len(boot)] = boot
            reserved[at + shape.sector_bytes : at + shape.sector_bytes + 512] = info
    table = _table(geometry, chains).ljust(geometry.fat_sectors * shape.sector_bytes, b"\0")
    yield bytes(reserved)
    yield table * _COPIES


def _boot_sector(geometry: _Geometry) -> bytes:
    shape = geometry.shape
    per_cluster = shape.cluster_bytes // shape.sector_bytes
    # A little smaller than the partition where that kept the kind of table clear of its borders.
    sectors = geometry.data_at // shape.sector_bytes + geometry.clusters * per_cluster
    sixteen = geometry.bits != 32
    small = sixteen and sectors < 0x10000
    common = struct.pack(
        "<3s8sHBHBHHBHHHII",
        *(b"\xeb\x3c\x90" if sixteen else b"\xeb\x58\x90", b"BRINGUP ", shape.sector_bytes, per_cluster),
        *(geometry.reserved, _COPIES, shape.root_entries if sixteen else 0, sectors if small else 0, _MEDIA),
        *(geometry.fat_sectors if sixteen else 0, 32, 64, shape.hidden_sectors, 0 if small else sectors),
    )
    if not sixteen:
        common += struct.pack("<IHHIHH12x", geometry.fat_sectors, 0, 0, 2, 1, 6)
    label = shape.label.upper().ljust(11)[:11].encode("ascii")
    kind = f"FAT{geometry.bits}".ljust(8).encode("ascii")
    tail = struct.pack("<BBBI11s8s", 0x80, 0, 0x29, shape.volume_id, label, kind)
    return (common + tail).ljust(510, b"\0") + b"\x55\xaa"


def _table(geometry: _Geometry, chains: Sequence[tuple[int, int]]) -> bytes:
    mark = geometry.end_mark
    entries = [mark & ~0xFF | _MEDIA, mark]
    for first, count in chains:
        entries += [*range(first + 1, first + count), mark]
    if geometry.bits == 16:
        return struct.pack(f"<{len(entries)}H", *entries)
    if geometry.bits == 32:
        return struct.pack(f"<{len(entries)}I", *entries)
    entries += [0] * (len(entries) % 2)
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return b"".join((low | high << 12).to_bytes(3, "little") for low, high in pairs)


def _data(root: _Node, geometry: _Geometry) -> Iterator[Piece]:
    """Yield the root folder of FAT12 and FAT16, then all clusters that are used."""
    shape = geometry.shape
    label = shape.label.upper().ljust(11)[:11].encode("ascii")
    own = [_entry(label, LABEL, 0, 0)]
    if geometry.bits != 32:
        yield _folder(root, own, geometry.root_sectors * shape.sector_bytes)
    parents = {id(child): node for node in _folders(root) for child in node.children.values()}
    for node in _in_order(root, geometry.bits):
        if node.content is None:
            parent = parents.get(id(node))
            # `..` of a folder in the root is 0, also where the root has a cluster.
            above = 0 if parent is None or parent is root else parent.cluster
            dots = [
                _entry(b".".ljust(11), DIRECTORY, node.cluster, 0),
                _entry(b"..".ljust(11), DIRECTORY, above, 0),
            ]
            size = (len(node.children) + 2) * ENTRY_BYTES
            yield _folder(node, own if node is root else dots, size + -size % shape.cluster_bytes)
        else:
            yield from node.content.parts
            yield Zeros(-node.content.size % shape.cluster_bytes)


def _folders(node: _Node) -> Iterator[_Node]:
    yield node
    for child in node.children.values():
        if child.content is None:
            yield from _folders(child)


def _folder(node: _Node, first: Sequence[bytes], size: int) -> bytes:
    entries = [
        _entry(short_name(name), DIRECTORY, child.cluster, 0, _case(name))
        if child.content is None
        else _entry(short_name(name), ARCHIVE, child.cluster, child.content.size, _case(name))
        for name, child in node.children.items()
    ]
    return b"".join([*first, *entries]).ljust(size, b"\0")


def _entry(name: bytes, attributes: int, cluster: int, size: int, case: int = 0) -> bytes:
    times = (0, 0, _DATE_1980, _DATE_1980, cluster >> 16, 0, _DATE_1980, cluster & 0xFFFF, size)
    return struct.pack("<11sBBBHHHHHHHI", name, attributes, case, *times)


def _case(name: str) -> int:
    """Return the bits by which Linux shows a name in lower case."""
    return _LOWER_CASE if name == name.lower() else 0
