"""What is remembered of the samples, and how a score for each sample is computed from it.

Which score a strategy takes, and how a score becomes a distribution, is not decided here.
"""
