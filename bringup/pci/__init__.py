"""PCI truth: from the bytes of any source to one model of the machine, and what follows from it."""
