"""Is it the lab or the image: what a board needs of host, network and BMC, checked one by one."""
