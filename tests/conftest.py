"""Property-based tests try the same examples in every run, and leave no files behind."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
