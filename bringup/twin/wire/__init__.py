"""The cable between a twin's board and its network, where faults of the network act on every frame."""
