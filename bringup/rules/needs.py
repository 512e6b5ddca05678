"""What an image demands against what a machine offers: F9 to F12. Pure.

A boot asks before power, `camkes check` with a build: the same rules. What an image demands is read from its
kernel (`bringup.image.needs`); where that does not tell, from the options of its build. A machine offers what
its profile says, a twin what its engine emulates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Gap, Rule
from bringup.base.size import counted
from bringup.image.needs import FEATURES, VTX, Feature, KernelNeeds
from bringup.rules.options import BUILD, PROFILE
from bringup.twin.engines import BOCHS, QEMU, Engine

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build
    from bringup.profile.model import Profile
    from bringup.rules.inputs import Inputs

F9 = Rule(
    "F9",
    "the processor has what the kernel demands",
    "seL4 src/arch/x86/64/head.S, machine/fpu.c, object/vcpu.c: not supported by the processor",
)
F10 = Rule(
    "F10", "the kernel is built for no more processors than there are", "seL4 KernelMaxNumNodes, ACPI: CPU(s)"
)
F11 = Rule(
    "F11",
    "what boots on a board is not built for an emulator",
    "seL4_tools cmake-tool/helpers/application_settings.cmake, ApplyCommonSimulationSettings",
)
F12 = Rule(
    "F12", "the kernel keeps the IOMMU on for devices of VMs", "seL4 KernelIOMMU, disable_iommu (cmdline.c)"
)


@dataclass(frozen=True, slots=True)
class Needs:
    """All that is known of an image's demands: from its kernel, its build, and the VMs in its root task."""

    kernel: KernelNeeds | None = None
    build: Build | None = None
    vms: int | None = None

    def demands(self, feature: Feature) -> bool | None:
        """Whether the image demands this feature, None where neither kernel nor build tells."""
        told = self.kernel.demands[feature] if self.kernel else None
        if told is None and self.build is not None:
            told = self.build.demands(feature)
        return True if feature is VTX and self.vms else told

    def number(self, option: str) -> int | None:
        """Return an option of the build as a number, None where it is not known."""
        return None if self.build is None else self.build.number(option)

    def flag(self, option: str) -> bool | None:
        """Return an option of the build as a truth value, None where it is not known."""
        return None if self.build is None else self.build.flag(option)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a machine offers: features by Linux's names, hardware threads; None where not known.

    `sure` says whether `features` were read on this model. `engines` are others that a twin runs on, each
    with its features.
    """

    title: str
    features: frozenset[str] | None = None
    sure: bool = True
    source: str = ""
    threads: int | None = None
    virtual: bool = False
    engines: Mapping[str, frozenset[str]] = field(default_factory=dict)


def offer_of(profile: Profile, engine: Engine | None = None) -> Offer:
    """Return what a board of this profile offers; a virtual one what `engine` (default QEMU) emulates."""
    processor = profile.processor
    threads = processor.threads.value if processor.threads else None
    if not profile.virtual:
        fact = processor.features
        if fact is None:
            return Offer(profile.title, threads=threads)
        return Offer(
            profile.title, frozenset(fact.value), fact.grade in ("HIGH", "measured"), fact.source, threads
        )
    engine = engine or QEMU
    return Offer(
        f"the twin's {engine.title.partition(',')[0]}",
        engine.features,
        source=engine.source,
        threads=threads,
        virtual=True,
        # KVM is no advice: where it nests VT-x it is taken unasked.
        engines={other.name: other.features for other in (QEMU, BOCHS) if other is not engine},
    )


def processor_has(needs: Needs, offer: Offer) -> Found:
    """F9: one finding for the features that one option asks for."""
    if offer.features is None:
        return
    lacking = [feature for feature in FEATURES if feature.flag not in offer.features]
    for option in dict.fromkeys(feature.option for feature in lacking):
        missing = [f for f in lacking if f.option == option and needs.demands(f)]
        if missing:
            tell = F9.error if offer.sure else F9.warning
            yield tell(
                "processor-lacks",
                None,
                f"{offer.title} has no {' and no '.join(feature.title for feature in missing)}, and "
                f"{_who(needs, missing[0])} does not run without",
                _way_out(needs, offer, missing),
                *(_why(needs, feature) for feature in missing),
                f"{offer.title}: {offer.source}",
            )
    unknown = [feature for feature in lacking if needs.demands(feature) is None]
    if unknown:
        yield F9.gap(
            f"whether the kernel demands {', '.join(feature.title for feature in unknown)}, which "
            f"{offer.title} has not",
            BUILD,
        )


def _who(needs: Needs, feature: Feature) -> str:
    if feature is VTX and needs.vms:
        return "an image with VMs"
    return "this kernel"


def _why(needs: Needs, feature: Feature) -> str:
    if needs.kernel is not None and needs.kernel.demands[feature]:
        return f'the kernel refuses with "{feature.text.decode()}"'
    if needs.build is not None and needs.build.demands(feature):
        return f"{feature.option}={needs.build.text(feature.option)}"
    return f"{counted(needs.vms or 0, 'VM')} in the root task"


def _way_out(needs: Needs, offer: Offer, missing: list[Feature]) -> str:
    ways = []
    if not (missing[0] is VTX and needs.vms):
        ways.append(f"build with {missing[0].way_out}")
    wanted = {feature.flag for feature in FEATURES if needs.demands(feature)}
    ways += [f"--engine {name}" for name, features in offer.engines.items() if wanted <= features]
    ways.append("boot it on a real board" if offer.virtual else "boot it on another board")
    return ", or ".join(ways)


def enough_processors(needs: Needs, offer: Offer) -> Found:
    """F10."""
    nodes = needs.number("KernelMaxNumNodes")
    if nodes is not None and offer.threads is not None and nodes > offer.threads:
        yield F10.warning(
            "too-many-nodes",
            None,
            f"the kernel is built for {nodes} processors, and {offer.title} has {offer.threads}: what is to "
            "run on another one does not run",
            f"build with -DKernelMaxNumNodes={offer.threads}",
            f"KernelMaxNumNodes={nodes}",
        )


def not_simulated(needs: Needs, offer: Offer) -> Found:
    """F11."""
    if needs.flag("SIMULATION") and not offer.virtual:
        yield F11.warning(
            "simulation",
            None,
            "the build is for an emulator (SIMULATION): its kernel leaves PCID and the IOMMU alone, and what "
            f"was measured on it says nothing of {offer.title}",
            "build with -DSIMULATION=OFF",
            "SIMULATION=ON",
        )


def iommu_on(needs: Needs, words: str = "") -> Found:
    """F12; `words` is the kernel's command line."""
    if not needs.vms:
        return
    disabled = "disable_iommu" in words.split()
    if disabled or needs.flag("KernelIOMMU") is False:
        yield F12.warning(
            "iommu-kept-off",
            None,
            "the kernel keeps the IOMMU off: a device that is passed to a VM writes to wrong addresses",
            "leave out disable_iommu" if disabled else "build with -DKernelIOMMU=ON",
            "disable_iommu" if disabled else "KernelIOMMU=OFF",
        )


def _known(inputs: Inputs) -> tuple[Needs, Offer] | None:
    if inputs.build is None or inputs.profile is None:
        return None
    return Needs(inputs.build.kernel, inputs.build, len(inputs.vms) or None), offer_of(inputs.profile)


def check_processor(inputs: Inputs) -> Found:
    """F9 of a build."""
    known = _known(inputs)
    if known is not None:
        yield from (_of_practice(found, inputs) for found in processor_has(*known))
    elif inputs.vms:
        needs = [need for need, have in ((BUILD, inputs.build), (PROFILE, inputs.profile)) if have is None]
        yield F9.gap("whether the processor has what the kernel demands", " and ".join(needs))


def _of_practice(found: Finding | Gap, inputs: Inputs) -> Finding | Gap:
    """Return an error as a warning where nobody said that the image is to run on this twin."""
    return replace(found, severity="warning") if inputs.practice and isinstance(found, Finding) else found


def check_processors(inputs: Inputs) -> Found:
    """F10 of a build."""
    known = _known(inputs)
    return iter(()) if known is None else enough_processors(*known)


def check_simulated(inputs: Inputs) -> Found:
    """F11 of a build."""
    known = _known(inputs)
    return iter(()) if known is None else not_simulated(*known)


def check_iommu(inputs: Inputs) -> Found:
    """F12 of a build."""
    known = _known(inputs)
    return iommu_on(known[0]) if known is not None and inputs.passes_devices else iter(())


CHECKS = (
    (F9, check_processor),
    (F10, check_processors),
    (F11, check_simulated),
    (F12, check_iommu),
)
