"""`bringup camkes` and its commands."""
