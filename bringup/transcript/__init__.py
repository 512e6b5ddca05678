"""What a console's text proves, live and recorded alike."""
