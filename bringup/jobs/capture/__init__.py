"""Capture: the probes booted on a board, one after the other, and what they saw kept as one capture."""
