"""What the package costs and what it is worth, measured."""
