"""What is known of a model of board."""
