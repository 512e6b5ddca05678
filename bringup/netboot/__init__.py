"""DHCP, TFTP and HTTP for boards with an open run, and the loaders they fetch."""
