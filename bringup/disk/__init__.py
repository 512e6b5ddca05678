"""What is on a disk, and what shall be written where? Pure: bytes in, bytes and their places out.

layout        where everything lies; the partition table
contents      what a disk holds, judged by its head and tail
choose        which disk may be taken
state         the two small files that say which slot is good
manifest      what a slot holds
slot_image    an image as the bytes of a slot
slots         both slots of a disk as they are
commit        what is written, in which order, with which barriers
grub          the boot loader's files; grub_choice: which slot it will start
fat, pieces   file systems and long contents without a copy in memory
"""
