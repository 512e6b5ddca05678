"""Tests of re-imaging without a board."""
