"""Every mechanism that is no pattern."""
