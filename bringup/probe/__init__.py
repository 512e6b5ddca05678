"""Getting the facts off a machine: what to read, the script that reads it, and the ways to run it."""
