"""Config space as bytes, decoded in one place."""
