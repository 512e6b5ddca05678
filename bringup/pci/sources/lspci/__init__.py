"""What lspci prints, in its several forms."""
