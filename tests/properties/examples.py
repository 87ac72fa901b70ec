"""How many examples a property is tried on: few for each change, many in `make test-full`."""

from hypothesis import Phase, settings

FIRST = [Phase.explicit, Phase.generate]


def is_long():
    """Whether pytest was called with `--hypothesis-profile=long`."""
    return settings.default.max_examples > 100


def examples(few):
    """Settings of one test: `few` examples, and ten times as many in the long profile.

    Only there a failing example is made smaller, which takes minutes where each costs a dataset.
    """
    return (
        settings(max_examples=10 * few) if is_long() else settings(max_examples=few, phases=FIRST)
    )
