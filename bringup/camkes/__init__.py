"""The CAmkES configuration of the VMs: read, checked, and fed with what the machine really is."""
