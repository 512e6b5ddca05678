"""What it means when a boot stops: whose fault it is, and the usual causes; data only."""
