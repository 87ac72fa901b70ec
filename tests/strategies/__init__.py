"""Tests of `tfmlselect.strategies`."""
