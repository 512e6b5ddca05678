"""CAmkES configurations from PCI truth: an overlay, an update in place, a migration, a check."""
