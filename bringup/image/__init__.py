"""What an image is, and why one cannot boot."""
