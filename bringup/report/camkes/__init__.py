"""What `bringup camkes` did, as text and JSON."""
