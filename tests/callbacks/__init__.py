"""Tests of `tfmlselect.callbacks`."""
