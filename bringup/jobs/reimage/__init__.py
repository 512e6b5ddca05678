"""What is done with a board's disk: written, looked at, rolled back; by a ramdisk that copies and hashes."""
