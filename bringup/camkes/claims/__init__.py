"""What a configuration was made for, and whether the board still is that."""
