"""The virtual SYS-E300-9D: machine, chassis, BMC and private network."""
