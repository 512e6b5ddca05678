"""Consoles: SOL and serial lines, what they say, and what it means."""
