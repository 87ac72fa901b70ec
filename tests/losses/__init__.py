"""Tests of `tfmlselect.losses`."""
