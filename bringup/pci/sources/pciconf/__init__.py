"""What FreeBSD's pciconf prints."""
