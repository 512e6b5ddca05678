"""What cannot work, and why: one module per topic, asked by everybody."""
