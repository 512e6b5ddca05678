"""Which functions are shown as one: those of a device that nobody passes to a VM one by one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from bringup.pci.model import Function
from bringup.report.pci_words import short_name

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


def group_name(group: Group) -> str:
    """Return what a group is: the one name, or how many functions and the commonest name among them."""
    names = [short_name(function) for function in group]
    if len(group) == 1:
        return names[0]
    common = max(dict.fromkeys(names), key=names.count)
    others = "" if names.count(common) == len(names) else " and others"
    return f"{len(group)} functions: {common}{others}"
