"""What does a guest's own kernel do? Booted under QEMU with the VMM's features, driven by its console."""
