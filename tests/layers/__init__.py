"""Tests of `tfmlselect.layers`."""
