"""Who is behind whom, and which buses nobody is seen to lead to."""
