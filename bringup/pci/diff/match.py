"""Which function of one capture is which of another, when buses were renumbered or cards moved; pure.

In this order, each step only for what the steps before left over:

1. the same MAC, or else the same device serial number and function number, or else the same name of the slot,
   function number and kind: where it is unique on both sides;
2. the same place: the same device and function numbers all the way down from the same root bus;
3. the same address;
4. the same kind (ids, function number), in order of address;
5. the same address once more, whatever the subsystem: the board's maker changed it, or it is another make of
   the same chip in that place, and that is told.

A pair has the same vendor and device, and but for the last step the same subsystem where both tell it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator

from bringup.pci.model import Bdf, Function, Machine, SerialNumber
from bringup.pci.topology.buses import Buses, BusKey

# More root buses than any machine has; beyond it only equal numbers are compared.
_ROOTS_MAX = 64
_NO_MAC = "00:00:00:00:00:00"

Pair = tuple[Function, Function]
Key = Callable[[Function], Hashable | None]
Place = tuple[tuple[int, int], ...]


def match(a: Machine, b: Machine) -> tuple[list[Pair], list[Function], list[Function]]:
    """Return the pairs in order of `a`, and what only `a` and only `b` have."""
    left = {function.bdf: function for function in a.functions}
    right = {function.bdf: function for function in b.functions}
    steps: list[tuple[Key, Key]] = [
        (_mac, _mac),
        (_serial, _serial),
        (_named, _named),
        _place_keys(Buses.of(a.functions), Buses.of(b.functions)),
        (lambda function: function.bdf, lambda function: function.bdf),
    ]
    pairs: list[Pair] = []
    for key_a, key_b in steps:
        for pair in _equal(left.values(), key_a, right.values(), key_b):
            pairs.append(pair)
            del left[pair[0].bdf], right[pair[1].bdf]
    for pair in _alike(left.values(), right.values()):
        pairs.append(pair)
        del left[pair[0].bdf], right[pair[1].bdf]
    for bdf in left.keys() & right.keys():
        if _ids(left[bdf]) == _ids(right[bdf]):
            pairs.append((left.pop(bdf), right.pop(bdf)))
    return sorted(pairs, key=lambda pair: pair[0].bdf), list(left.values()), list(right.values())


def place(bdf: Bdf, buses: Buses) -> Place | None:
    """Return device and function numbers from the root bus down; None where bridges were not observed."""
    path = buses.path(bdf)
    return None if path is None else tuple((each.device, each.function) for each in (*path, bdf))


def _equal(left: Iterable[Function], key_a: Key, right: Iterable[Function], key_b: Key) -> list[Pair]:
    """Return the pairs whose keys are equal and unique on both sides."""
    ours, theirs = _by_key(left, key_a), _by_key(right, key_b)
    both = ((ours[key][0], theirs[key][0]) for key in ours if len(ours[key]) == len(theirs.get(key, ())) == 1)
    return [pair for pair in both if _may_be_one(*pair)]


def _by_key(functions: Iterable[Function], key: Key) -> dict[Hashable, list[Function]]:
    found: dict[Hashable, list[Function]] = defaultdict(list)
    for function in functions:
        told = key(function)
        if told is not None:
            found[told].append(function)
    return found


def _may_be_one(first: Function, second: Function) -> bool:
    if _ids(first) != _ids(second):
        return False
    both = first.observed("subsystem") and second.observed("subsystem")
    return not both or first.subsystem == second.subsystem


def _ids(function: Function) -> tuple[int | None, int | None]:
    return function.vendor, function.device


def _alike(left: Iterable[Function], right: Iterable[Function]) -> list[Pair]:
    """Return pairs of one kind in order of address."""
    pairs: list[Pair] = []
    waiting = _by_key(right, _kind)
    for first in left:
        candidates = waiting.get(_kind(first), []) if first.vendor is not None else []
        second = next((each for each in candidates if _may_be_one(first, each)), None)
        if second is not None:
            candidates.remove(second)
            pairs.append((first, second))
    return pairs


def _kind(function: Function) -> Hashable:
    return function.vendor, function.device, function.bdf.function


def _named(function: Function) -> Hashable | None:
    name = function.label or function.slot
    return (name, _kind(function)) if name else None


def _mac(function: Function) -> Hashable | None:
    macs = [port.mac.lower() for port in function.net or () if port.mac and port.mac != _NO_MAC]
    return tuple(macs) or None


def _serial(function: Function) -> Hashable | None:
    serial = function.capability(SerialNumber)
    return None if serial is None else (serial.value, function.bdf.function)


def _place_keys(a: Buses, b: Buses) -> tuple[Key, Key]:
    same = _same_roots(a, b)
    return _place_key(a, {root: root for root in same}), _place_key(
        b, {theirs: ours for ours, theirs in same.items()}
    )


def _place_key(buses: Buses, roots: dict[BusKey, BusKey]) -> Key:
    def key(function: Function) -> Hashable | None:
        told = place(function.bdf, buses)
        root = roots.get(_root(function.bdf, buses))
        return None if told is None or root is None else (root, told)

    return key


def _root(bdf: Bdf, buses: Buses) -> BusKey:
    path = buses.topology.path(bdf)
    return bdf.domain, (path[0] if path else bdf).bus


def _same_roots(a: Buses, b: Buses) -> dict[BusKey, BusKey]:
    """Return which root bus of `a` is which of `b`: those with most in common, at the same places.

    Where several have the same in common, their order decides when both have as many roots (firmware
    renumbers in order), else their numbers.
    """
    ours, theirs = _contents(a), _contents(b)
    if max(len(ours), len(theirs)) > _ROOTS_MAX:
        return {root: root for root in ours if root in theirs}
    in_order = len(ours) == len(theirs)
    ranked = sorted(_scores(ours, theirs, in_order=in_order))
    paired: dict[BusKey, BusKey] = {}
    taken: set[BusKey] = set()
    for _, _, first, second in ranked:
        if first not in paired and second not in taken:
            paired[first] = second
            taken.add(second)
    return paired


def _scores(
    ours: dict[BusKey, set[Hashable]], theirs: dict[BusKey, set[Hashable]], *, in_order: bool
) -> Iterator[tuple[float, int, BusKey, BusKey]]:
    for rank, (first, content) in enumerate(ours.items()):
        for other_rank, (second, other) in enumerate(theirs.items()):
            common = len(content & other)
            if common:
                far = abs(rank - other_rank) if in_order else int(first != second)
                yield -common / len(content | other), far, first, second


def _contents(buses: Buses) -> dict[BusKey, set[Hashable]]:
    """Return for each root bus what is at which place under it."""
    found: dict[BusKey, set[Hashable]] = {root: set() for root in buses.roots}
    for members in buses.on.values():
        for function in members:
            root = found.get(_root(function.bdf, buses))
            if root is not None:
                root.add((place(function.bdf, buses), function.vendor, function.device))
    return found
