"""Scripts that tests run in processes of their own."""

import os
import sys
from pathlib import Path

import tfmlselect as tfml


def environment(**more):
    """The environment of a child that imports what this process does, from the same places."""
    paths = os.pathsep.join([str(Path(tfml.__file__).parents[1]), *sys.path])
    return {**os.environ, "PYTHONPATH": paths, **more}
