"""Warns of the user's line: the nearest one outside TensorFlow, Keras and this package.

Python shows a warning once for each line and text, in the whole process. What is warned of here is
shown each time: whoever warns decides how often something is worth saying.
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Packages whose lines a user did not write; contextlib and functools call what they were given.
_PASSED_OVER = {"tensorflow", "keras", "tf_keras", "tfmlselect", "contextlib", "functools"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issues a warning that names the line of the user's code that led here.

    Filters act as on any warning. Where no such line is found, as in a thread of TensorFlow's own,
    it names the outermost one.
    """
    frame = _users_frame()
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry={},  # of the line's own, Python drops what was shown before
    )


def _users_frame() -> FrameType:
    frame = sys._getframe()
    while _is_passed_over(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _is_passed_over(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _PASSED_OVER
