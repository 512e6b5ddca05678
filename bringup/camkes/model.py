"""A CAmkES application as settings: what is set, for which instance, to which value, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bringup.base.place import Place as Place


@dataclass(frozen=True, slots=True)
class Unevaluated:
    """A value that is not known here.

    It is a `dtb(...)` query or a `<-` reference, which camkes-tool follows later, or a "macro" that a header
    defines which was passed over.
    """

    kind: Literal["query", "reference", "macro"]
    text: str


Value: TypeAlias = "int | float | bool | str | tuple[Value, ...] | Mapping[str | int, Value] | Unevaluated"


@dataclass(frozen=True, slots=True)
class Setting:
    """One `instance.attribute = value;` as it stands after includes and macros.

    `applied` is False in a free-standing top-level `configuration`, which camkes-tool parses and never
    applies (seL4/camkes-tool camkes/parser/stage6.py). `places`: those of a list value's elements, in order.
    """

    instance: str
    attribute: str
    value: Value
    place: Place
    applied: bool = True
    places: tuple[Place, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The pair that may be set only once."""
        return self.instance, self.attribute


@dataclass(frozen=True, slots=True)
class Instance:
    """A component instance of the merged assemblies: its name, its type, and where it is declared."""

    name: str
    component: str
    place: Place


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that a component type declares, with the type camkes-tool checks it against."""

    component: str
    name: str
    type: str
    array: bool = False
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class ComponentType:
    """A component type that is declared: the names of its interfaces, and what macros are left over in it."""

    name: str
    interfaces: tuple[str, ...] = ()
    macros: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """One end of a connection: the instance and its interface."""

    connection: str
    instance: str
    interface: str
    place: Place

    def __str__(self) -> str:
        return f"{self.instance}.{self.interface}"


@dataclass(frozen=True, slots=True)
class Application:
    """What one root .camkes file amounts to. `settings` keep every assignment, doubled ones too, in order.

    `missing_includes` are files that cpp or `import` could not find and that were passed over on request;
    while there are any, `attributes` and `instances` are not complete. `connections` are the names of the
    assemblies' connections, which can be given settings too, `ends` what they connect. `components` are the
    types that are declared (None: not known), `macros` what is left over in the assemblies, `stock` the
    instances that such macros declare in camkes-vm, `assembled` whether there is an assembly. `octal` are the
    numbers that begin with 0.
    """

    root: str
    settings: tuple[Setting, ...]
    instances: tuple[Instance, ...]
    attributes: tuple[Attribute, ...] = ()
    files: tuple[str, ...] = ()
    missing_includes: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()
    ends: tuple[ConnectionEnd, ...] = ()
    octal: tuple[tuple[str, Place], ...] = ()
    components: tuple[ComponentType, ...] | None = None
    stock: tuple[Instance, ...] = ()
    macros: tuple[str, ...] = ()
    assembled: bool = True

    def get(self, instance: str, attribute: str) -> Setting | None:
        """Return the applied setting of an attribute, the first one where it is set twice."""
        for setting in self.settings:
            if setting.applied and setting.key == (instance, attribute):
                return setting
        return None

    def value(self, instance: str, attribute: str) -> Value | None:
        """Return an attribute's applied value, None where it is not set."""
        setting = self.get(instance, attribute)
        return None if setting is None else setting.value
