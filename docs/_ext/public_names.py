"""The build fails where a public name has no docstring, or no place in the reference.

Public is what stands in `__all__`: of the package, and of its modules that stand in there.
"""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Iterable, Iterator
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
PACKAGES = ["tfmlselect", "tfmlselect.plots"]  # the second is imported where it is used


def public(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    """Each public name with its object; modules come with the names in them."""
    for name in module.__all__:
        thing = getattr(module, name)
        yield f"{module.__name__}.{name}", thing
        if inspect.ismodule(thing):
            yield from public(thing)


def problems(module: types.ModuleType, documented: Iterable[str]) -> Iterator[str]:
    """What is wrong with the public names of a module, given the names in the reference."""
    names = {*documented}
    things = [resolve(name) for name in names]
    for name, thing in public(module):
        if not inspect.getdoc(thing):
            yield f"{name} has no docstring"
        # A class may stand in two places of the package, and in one of the reference.
        if name not in names and not any(thing is other for other in things):
            yield f"{name} is not in the reference: name it on a page of docs/api"


def resolve(name: str) -> Any:
    """The object of a dotted name; None for what is no module, class or function."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            thing = getattr(thing, part, None)
        return thing
    return None


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Sphinx' `env-check-consistency`: what the domain holds becomes objects.inv."""
    documented = [entry[0] for entry in env.get_domain("py").get_objects()]
    for package in app.config.public_packages:
        for problem in problems(importlib.import_module(package), documented):
            LOGGER.warning(problem)


def setup(app: Sphinx) -> dict:
    """Checks once all pages are read."""
    app.add_config_value("public_packages", PACKAGES, "env")
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
