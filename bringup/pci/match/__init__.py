"""Which profile a machine fits, and which of its ports is which function."""
