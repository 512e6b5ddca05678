"""Who gets which function, and the values that follow."""
