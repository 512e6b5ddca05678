"""One console for several: who has it on this host serves it to the others (readers, and one writer)."""
