"""What a check costs."""
