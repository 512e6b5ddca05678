"""Bochs as an engine of the twin: slow, and the only free emulator of VT-x."""
