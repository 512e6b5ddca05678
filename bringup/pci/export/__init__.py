"""An assessed machine as JSON."""
