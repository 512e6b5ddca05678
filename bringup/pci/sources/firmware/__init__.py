"""The firmware probe's report: frames, records, and the machine they describe."""

KIND = "firmware-probe"
NOT_ASKED = "the probe was not asked for it (acpi=all)"
