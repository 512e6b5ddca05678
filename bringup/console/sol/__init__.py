"""Serial over LAN."""
