"""Several machines that train one model, and several replicas of it on one machine.

What is summed over them is not known here: strategies, losses and callbacks ask for their own sums.
"""
