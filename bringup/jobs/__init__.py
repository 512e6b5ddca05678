"""What can be done with boards."""
