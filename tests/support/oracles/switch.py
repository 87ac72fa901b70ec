"""Strategies in turn, as section 13 of the formulas and the rule for points of the run say it.

Written from these alone, never from the package. Fractions are exact: 0.29 of 100 is 29.
"""

from fractions import Fraction


def part_in_force(points, epoch, epochs, passes_per_epoch=1):
    """The number of the first part whose point lies after `epoch`, else that of the last.

    A float is a fraction of the `epochs`, an int a number of passes over the data.
    """
    for number, point in enumerate(points):
        if isinstance(point, int):
            end = Fraction(point) / Fraction(str(passes_per_epoch))
        else:
            end = Fraction(str(point)) * epochs
        if epoch < end:
            return number
    return len(points) - 1
