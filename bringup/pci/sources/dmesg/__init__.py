"""A Linux boot log."""

KIND = "dmesg"
"""The kind of such a source; here, so that who only asks for it loads no reader."""
