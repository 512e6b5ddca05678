"""The CAmkES application's configuration: read, checked, generated from PCI truth, and changed in place."""
