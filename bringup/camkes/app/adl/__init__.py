"""The language of .camkes files after cpp, as far as settings depend on it."""
