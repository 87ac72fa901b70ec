"""How Sphinx builds the site: `make docs` from a clone, without network or data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfmlselect  # noqa: E402

project = "tfmlselect"
author = "the tfmlselect authors"
copyright = "the tfmlselect authors, Apache-2.0"
version = release = tfmlselect.__version__
language = "en"

extensions = [
    "myst_nb",  # Markdown, and notebooks that are paired with text
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "public_names",
    "root_pages",
]
exclude_patterns = ["_ext"]

# All that a page loads is in the build.
html_theme = "furo"
html_title = "tfmlselect"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
nb_ipywidgets_js: dict = {}  # the defaults come from a network

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # the anchors that GitHub makes of headings

# Notebooks are shown as they were committed. With `make docs NOTEBOOKS=force` they run, and an error
# in one fails the build; one needs data, which a clone has not.
nb_execution_mode = "off"
nb_execution_excludepatterns = [] if "TFMLSELECT_DATA" in os.environ else ["tutorials/text.ipynb"]
nb_output_stderr = "remove"
nb_execution_raise_on_error = True
nb_execution_timeout = 600

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_use_ivar = True
napoleon_custom_sections = ["Deviations and open points"]
# Backticks in docstrings are code, and a link where they name something of ours.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r".*"),
    ("py:class", r"(tensorflow|tf|keras|tf_keras|numpy|np|scipy|matplotlib|collections|os)\..*"),
]

# `make docs-links`.
linkcheck_timeout = 20
linkcheck_retries = 2


def keep_pictures_in_the_site(app: Sphinx) -> None:
    """MyST-NB writes the pictures of notebooks beside the site, where git would see them."""
    folder = Path(app.doctreedir) / "notebooks"
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=str(folder))


def setup(app: Sphinx) -> None:
    """After MyST-NB has made its configuration."""
    app.connect("builder-inited", keep_pictures_in_the_site, priority=600)
