"""Doubles for tests: BMCs as real processes on free loopback ports."""
