"""Slow, plain NumPy transcriptions of the formulas, which the package is tested against."""
