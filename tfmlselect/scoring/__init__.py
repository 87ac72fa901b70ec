"""From what was seen of the samples to a score for each."""
