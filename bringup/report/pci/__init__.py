"""A machine and its findings as text, tree and picture."""
