"""The version of this tool, for people, captures and packages."""

__version__ = "0.1.0"
