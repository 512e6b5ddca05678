"""Power and boot override, acted on only from a confirmed state."""
