"""A shelf of virtual boards: full twins while processors last, scripted boards beyond."""
