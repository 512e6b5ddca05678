"""A network boot that somebody recorded: a packet capture, told as the events of serving it."""
