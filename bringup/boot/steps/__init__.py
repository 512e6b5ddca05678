"""The steps that jobs are made of: each enters, and leaves again what it began."""
