"""Scripts that tests run in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import tfmlselect as tfml


def environment(**more):
    """The environment of a child that imports what this process does, from the same places."""
    paths = os.pathsep.join([str(Path(tfml.__file__).parents[1]), *sys.path])
    return {**os.environ, "PYTHONPATH": paths, **more}


def arrays_of(script, *arguments):
    """The arrays that a script saves to its last argument, a path."""
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, env=environment())
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return dict(np.load(arguments[-1]))
