"""PCI functions as Linux shows them in sysfs."""
