"""Which functions are shown as one: those of a device that nobody passes to a VM one by one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from bringup.base.size import counted
from bringup.pci.model import Function
from bringup.report.words import short_name

Group = tuple[Function, ...]


def grouped(functions: Iterable[Function], *, single: bool = False) -> list[Group]:
    """Return the functions of one bus in order, the dull ones of a device together; `single`: never so."""
    groups: list[Group] = []
    for _, members in groupby(functions, key=lambda function: function.bdf.device):
        dull: list[Function] = []
        for function in members:
            if single or function.is_bridge or function.is_ethernet:
                groups.append((function,))
            else:
                dull.append(function)
        if dull:
            groups.append(tuple(dull))
    return sorted(groups, key=lambda group: group[0].bdf)


def device_list(group: Iterable[Function]) -> str:
    """Return the addresses of one device's functions: `00:04.0-7`, `00:05.0,2,4`."""
    first, *rest = group
    runs = [[first.bdf.function, first.bdf.function]]
    for function in rest:
        if function.bdf.function == runs[-1][1] + 1:
            runs[-1][1] += 1
        else:
            runs.append([function.bdf.function] * 2)
    numbers = ",".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in runs)
    return f"{first.bdf.short[:-1]}{numbers}"


def group_name(group: Group) -> str:
    """Return what a group is: the one name, or how many functions and what most of them are."""
    name = common_name(group)
    return name if len(group) == 1 else f"{counted(len(group), 'function')}: {name}"


def common_name(group: Group) -> str:
    """Return the commonest name in a group, and that there are others."""
    names = [short_name(function) for function in group]
    common = max(dict.fromkeys(names), key=names.count)
    return common if names.count(common) == len(names) else f"{common} and others"
