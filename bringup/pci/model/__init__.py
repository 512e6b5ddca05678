"""What is known of a machine: its functions, what config space says of each, and the ACPI tables."""

from __future__ import annotations

from bringup.base.place import Bdf as Bdf
from bringup.pci.model.acpi import Acpi as Acpi
from bringup.pci.model.acpi import Dmar as Dmar
from bringup.pci.model.acpi import Drhd as Drhd
from bringup.pci.model.acpi import IoApic as IoApic
from bringup.pci.model.acpi import LostPrt as LostPrt
from bringup.pci.model.acpi import Madt as Madt
from bringup.pci.model.acpi import Mcfg as Mcfg
from bringup.pci.model.acpi import PrtEntry as PrtEntry
from bringup.pci.model.acpi import Rmrr as Rmrr
from bringup.pci.model.acpi import Scope as Scope
from bringup.pci.model.acpi import SourceOverride as SourceOverride
from bringup.pci.model.config import INTX_PINS as INTX_PINS
from bringup.pci.model.config import Acs as Acs
from bringup.pci.model.config import AdvancedFeatures as AdvancedFeatures
from bringup.pci.model.config import Bar as Bar
from bringup.pci.model.config import Bridge as Bridge
from bringup.pci.model.config import Capability as Capability
from bringup.pci.model.config import D as D
from bringup.pci.model.config import Decoded as Decoded
from bringup.pci.model.config import IntxPin as IntxPin
from bringup.pci.model.config import Msi as Msi
from bringup.pci.model.config import MsiX as MsiX
from bringup.pci.model.config import Pcie as Pcie
from bringup.pci.model.config import PowerManagement as PowerManagement
from bringup.pci.model.config import Rom as Rom
from bringup.pci.model.config import SerialNumber as SerialNumber
from bringup.pci.model.config import Sriov as Sriov
from bringup.pci.model.config import Window as Window
from bringup.pci.model.machine import FUNCTION_FIELDS as FUNCTION_FIELDS
from bringup.pci.model.machine import REMARKS as REMARKS
from bringup.pci.model.machine import Conflict as Conflict
from bringup.pci.model.machine import Function as Function
from bringup.pci.model.machine import Identity as Identity
from bringup.pci.model.machine import InterruptLine as InterruptLine
from bringup.pci.model.machine import IoRange as IoRange
from bringup.pci.model.machine import Machine as Machine
from bringup.pci.model.machine import MeasuredPin as MeasuredPin
from bringup.pci.model.machine import Missing as Missing
from bringup.pci.model.machine import NetInterface as NetInterface
from bringup.pci.model.machine import Platform as Platform
from bringup.pci.model.machine import RoutedPin as RoutedPin
from bringup.pci.model.machine import SourceInfo as SourceInfo
from bringup.pci.model.machine import Unplaced as Unplaced
