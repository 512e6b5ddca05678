"""What differs between two captures of a machine."""
