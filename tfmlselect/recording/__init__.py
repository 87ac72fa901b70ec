"""From a train step to what a strategy sees."""
