"""Property-based tests try the same examples in every run, and leave no files behind.

`make test-full` passes `--hypothesis-profile=long`: ten times as many examples, new ones in every
run. What fails there is printed with a line that repeats it, `@reproduce_failure(...)`.
"""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("long", deadline=None, max_examples=1000, database=None, print_blob=True)
settings.load_profile("repeatable")
