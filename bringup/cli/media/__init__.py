"""`bringup media` and its commands."""
