"""A Linux boot log."""
