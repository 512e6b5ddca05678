"""From a run folder to what a person reads."""
