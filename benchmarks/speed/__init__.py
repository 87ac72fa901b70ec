"""What the package costs: seconds and memory."""
