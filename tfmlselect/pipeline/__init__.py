"""From samples and a plan to batches."""
