"""Faults that a twin plays on purpose: which there are, when they act, and what they do."""
