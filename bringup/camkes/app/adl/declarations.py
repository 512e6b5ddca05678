"""What a preprocessed .camkes text declares, as far as settings depend on it. Offsets are the text's."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.camkes.model import Value


@dataclass(frozen=True, slots=True)
class Reference:
    """A part that is named where it could be written out: `composition mine;`."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class SettingDecl:
    """One setting; `span` is its value's, `offsets` are those of a list's elements."""

    instance: str
    attribute: str
    value: Value
    offset: int
    span: tuple[int, int]
    offsets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationDecl:
    """A configuration block."""

    name: str | None
    settings: tuple[SettingDecl, ...]
    macros: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceDecl:
    """`component type name;`, the type named or written out."""

    name: str
    component: Reference | ComponentDecl
    offset: int


@dataclass(frozen=True, slots=True)
class ConnectionDecl:
    """`connection type name(from a.b, to c.d);`: settings may be given to it too; `ends` as named."""

    name: str
    offset: int
    ends: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class CompositionDecl:
    """A composition block; the instances of its groups are among its own, as camkes-tool flattens them."""

    name: str | None
    instances: tuple[InstanceDecl, ...]
    connections: tuple[ConnectionDecl, ...]
    macros: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class AttributeDecl:
    """`attribute type name = default;`."""

    name: str
    type: str
    array: bool
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class ComponentDecl:
    """A component type, or an assembly: both hold a composition and a configuration.

    `interfaces` are the names of what it uses, provides, emits, consumes and shares; `macros` were left over.
    """

    name: str | None
    attributes: tuple[AttributeDecl, ...] = ()
    composition: CompositionDecl | Reference | None = None
    configuration: ConfigurationDecl | Reference | None = None
    is_assembly: bool = False
    interfaces: tuple[str, ...] = ()
    macros: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportDecl:
    """`import "file";`, or with `angle` `import <file>;`."""

    target: str
    angle: bool
    offset: int


Declaration = ComponentDecl | CompositionDecl | ConfigurationDecl | ImportDecl
