"""ACPI tables, and what their AML says of interrupts."""
