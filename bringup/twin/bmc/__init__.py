"""The virtual board's BMC."""
