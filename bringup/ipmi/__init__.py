"""How a BMC is spoken to: the only client of IPMI over LAN."""
