"""Verify: the checks of a plan are made on the virtual lab, on a board, or on the VMs of its image."""
