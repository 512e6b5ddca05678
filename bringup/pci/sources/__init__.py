"""Readers of the formats that PCI facts arrive in; each returns a Machine."""
