"""From declarations to one application: what camkes-tool's stages 4 to 7 make of them, as far as settings go.

All assemblies are one (stage 6); a component with a composition or configuration of its own brings both
along under its instance's name (stage 7). A second setting of an attribute is kept: telling it is for checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bringup.base.errors import UsageError
from bringup.camkes.app.adl.declarations import (
    ComponentDecl,
    CompositionDecl,
    ConfigurationDecl,
    ConnectionDecl,
    Declaration,
    InstanceDecl,
    Reference,
)
from bringup.camkes.app.stock import stock_instances
from bringup.camkes.model import (
    Attribute,
    ComponentType,
    ConnectionEnd,
    Instance,
    Place,
    Setting,
    Unevaluated,
)

Kind = TypeVar("Kind", CompositionDecl, ConfigurationDecl)

_INSTANCES_MAX = 10_000
_DEPTH_MAX = 50


@dataclass(frozen=True, slots=True)
class Unit:
    """One parsed text, and how to tell where its declarations stand."""

    text: str
    place: Callable[[int], Place]
    error: Callable[[int, str], UsageError]


@dataclass(frozen=True, slots=True)
class Merged:
    """The settings, instances, connections and attributes of all assemblies."""

    settings: tuple[Setting, ...]
    instances: tuple[Instance, ...]
    connections: tuple[str, ...]
    ends: tuple[ConnectionEnd, ...]
    attributes: tuple[Attribute, ...]
    components: tuple[ComponentType, ...]
    stock: tuple[Instance, ...]
    macros: tuple[str, ...]
    assembled: bool


def merge(declared: Iterable[tuple[Unit, Declaration]], *, complete: bool) -> Merged:
    """Merge declarations in the order they were read.

    Where not all files could be read (`complete` is false), a name that nothing declares is let pass.
    Raises UsageError for a composition or configuration that is named and not there, a component inside
    itself, and an application without bounds.
    """
    merger = _Merger(list(declared), complete)
    merger.run()
    return Merged(
        tuple(merger.settings),
        tuple(merger.instances),
        tuple(merger.connections),
        tuple(merger.ends),
        tuple(merger.attributes),
        tuple(merger.components),
        tuple(merger.stock),
        tuple(merger.macros),
        merger.assembled,
    )


@dataclass(slots=True)
class _Merger:
    declared: list[tuple[Unit, Declaration]]
    complete: bool
    settings: list[Setting] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    ends: list[ConnectionEnd] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    components: list[ComponentType] = field(default_factory=list)
    stock: list[Instance] = field(default_factory=list)
    macros: list[str] = field(default_factory=list)
    assembled: bool = False
    _components: dict[str, tuple[Unit, ComponentDecl]] = field(default_factory=dict)
    _compositions: dict[str, tuple[Unit, CompositionDecl]] = field(default_factory=dict)
    _configurations: dict[str, tuple[Unit, ConfigurationDecl]] = field(default_factory=dict)
    _applied: set[int] = field(default_factory=set)

    def run(self) -> None:
        """Name everything, take in the assemblies, then what no assembly has applied."""
        for unit, part in self.declared:
            self._note(unit, part)
        for unit, part in self.declared:
            if isinstance(part, ComponentDecl) and part.is_assembly:
                self.assembled = True
                self._take(unit, part, prefix="", depth=0)
        for unit, part in self.declared:
            if isinstance(part, ConfigurationDecl) and id(part) not in self._applied:
                self.settings += self._settings(unit, part, prefix="", applied=False)

    def _note(self, unit: Unit, part: Declaration) -> None:
        if isinstance(part, ComponentDecl):
            if part.is_assembly or part.name is None:
                return
            self._components.setdefault(part.name, (unit, part))
            self.attributes += [
                Attribute(part.name, attribute.name, attribute.type, attribute.array, attribute.default)
                for attribute in part.attributes
            ]
            macros = tuple(macro.name for macro in part.macros)
            self.components.append(ComponentType(part.name, part.interfaces, macros))
        elif isinstance(part, CompositionDecl) and part.name is not None:
            self._compositions.setdefault(part.name, (unit, part))
        elif isinstance(part, ConfigurationDecl) and part.name is not None:
            self._configurations.setdefault(part.name, (unit, part))

    def _take(self, unit: Unit, holder: ComponentDecl, *, prefix: str, depth: int) -> None:
        """Take in a holder's composition and configuration, then those of the instances inside it."""
        inside: list[tuple[Unit, InstanceDecl]] = []
        composition = self._resolve(unit, holder.composition, self._compositions, "composition")
        if composition is not None:
            where, found = composition
            inside = [(where, instance) for instance in found.instances]
            stock = stock_instances(found.macros)
            self.stock += [self._instance(where, instance, prefix) for instance in stock]
            self.macros += [macro.name for macro in found.macros]
            self.connections += [prefix + connection.name for connection in found.connections]
            self.ends += _ends(where, found.connections, prefix)
        for where, instance in inside:
            self.instances.append(self._instance(where, instance, prefix))
        if len(self.instances) > _INSTANCES_MAX:
            raise unit.error(inside[0][1].offset, f"the application has more than {_INSTANCES_MAX} instances")
        configuration = self._resolve(unit, holder.configuration, self._configurations, "configuration")
        if configuration is not None:
            where, settings = configuration
            self._applied.add(id(settings))
            self.macros += [macro.name for macro in settings.macros]
            self.settings += self._settings(where, settings, prefix=prefix, applied=True)
        for where, instance in inside:
            component = self._component(where, instance)
            if component is None:
                continue
            if depth == _DEPTH_MAX:
                raise where.error(
                    instance.offset, f"{instance.name} is more than {_DEPTH_MAX} components deep"
                )
            self._take(*component, prefix=f"{prefix}{instance.name}.", depth=depth + 1)

    def _component(self, unit: Unit, instance: InstanceDecl) -> tuple[Unit, ComponentDecl] | None:
        if isinstance(instance.component, ComponentDecl):
            return unit, instance.component
        return self._components.get(instance.component.name)

    def _resolve(
        self, unit: Unit, part: Kind | Reference | None, named: Mapping[str, tuple[Unit, Kind]], what: str
    ) -> tuple[Unit, Kind] | None:
        if part is None:
            return None
        if not isinstance(part, Reference):
            return unit, part
        if part.name not in named:
            if not self.complete:
                return None
            raise unit.error(part.offset, f"there is no {what} {part.name}")
        return named[part.name]

    def _instance(self, unit: Unit, instance: InstanceDecl, prefix: str) -> Instance:
        kind = instance.component
        component = kind.name if isinstance(kind, Reference) else ""
        return Instance(prefix + instance.name, component, unit.place(instance.offset))

    def _settings(
        self, unit: Unit, part: ConfigurationDecl, *, prefix: str, applied: bool
    ) -> Iterator[Setting]:
        for setting in part.settings:
            value = setting.value
            if isinstance(value, Unevaluated) and not value.text:
                start, end = setting.span
                value = replace(value, text=" ".join(unit.text[start:end].split()))
            yield Setting(
                instance=prefix + setting.instance,
                attribute=setting.attribute,
                value=value,
                place=unit.place(setting.offset),
                applied=applied,
                places=tuple(unit.place(offset) for offset in setting.offsets),
            )


def _ends(unit: Unit, connections: Iterable[ConnectionDecl], prefix: str) -> Iterator[ConnectionEnd]:
    """Yield the ends that name an instance and its interface; a name alone is one of the holder's own."""
    for connection in connections:
        for end in connection.ends:
            instance, dot, interface = end.name.partition(".")
            if dot and "." not in interface:
                name = prefix + connection.name
                yield ConnectionEnd(name, prefix + instance, interface, unit.place(end.offset))
