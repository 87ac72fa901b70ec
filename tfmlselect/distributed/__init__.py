"""Several machines, and several replicas on one: sums over all, shards, rows of a batch."""
