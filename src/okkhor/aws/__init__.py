"""What launching and serving on AWS have in common."""
