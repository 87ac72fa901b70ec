"""Whether a fit can write into a directory, looked at before it trains."""

from __future__ import annotations

import os
import stat

from tfmlselect._checks import require

_DEEPEST = "x" * 40  # as long as the names of what is written into the directory


def check_directory(name: str, path: str, writes: bool) -> None:
    """Looks whether there can be a directory at a path; makes none.

    Args:
        name: of the argument.
        path: of a directory that is there, or is to be made.
        writes: whether it must be allowed to write into it; what is only read need not.

    Raises:
        ValueError: a file is there, or above it; the path is too long; it may not be written into.
    """
    here, problem = os.path.join(os.path.abspath(path), _DEEPEST), ""
    while True:
        try:
            mode = os.stat(here).st_mode
        except FileNotFoundError:
            if os.path.islink(here):
                problem = f"{here!r} is a link that leads nowhere"
            elif here != os.path.dirname(here):
                here = os.path.dirname(here)
                continue
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        else:
            if not stat.S_ISDIR(mode):
                problem = f"{here!r} is no directory"
            elif writes and not os.access(here, os.W_OK | os.X_OK):
                problem = f"{here!r} may not be written into"
        break
    require_directory(name, path, problem)


def require_directory(name: str, path: str, problem: str) -> None:
    """Raises a ValueError that says what the problem with a directory is, if there is one."""
    require(
        not problem,
        f"`{name}` must be a directory that can be written into",
        f"{name}={path!r}: {problem}",
        "Name another directory, or allow this process to write there and make room",
    )
