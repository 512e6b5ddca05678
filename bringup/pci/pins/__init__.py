"""Where a function's interrupts arrive, as graded beliefs."""
