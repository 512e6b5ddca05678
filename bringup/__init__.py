"""Bring-up and provisioning of seL4 boards: power, console, network boot, verdicts, and a virtual board."""

__version__ = "0.1.0"
