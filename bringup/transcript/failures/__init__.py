"""Every failure that a console can tell of: data only."""
