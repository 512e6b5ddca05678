"""FAT file systems: made whole, never changed in place, and read back from any bytes.

The format: Microsoft's FAT specification 1.03 (2000), which also says that the number of clusters alone
decides between FAT12, FAT16 and FAT32.
"""
