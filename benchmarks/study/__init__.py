"""What selection is worth: data, models, runs and their results."""
