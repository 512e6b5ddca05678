"""First contact: what a profile says of a board, confirmed or corrected by what one unit shows."""
