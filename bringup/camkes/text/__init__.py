"""A .camkes file as it is written, every byte of it."""
