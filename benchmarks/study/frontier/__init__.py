"""Frontiers: what each method reaches at each number of steps, each at its own tuned rate."""
