"""Captures opened: kinds told by content, several views of one machine merged."""
