# SPDX-License-Identifier: Apache-2.0
"""Sphinx's settings for the documentation's site."""

import tomllib
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "wdmoe-cosim"
version = release = _PROJECT["version"]
author = copyright = "the wdmoe-cosim contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_gallery.gen_gallery"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["**/sg_execution_times.rst", "sg_execution_times.rst"]

myst_enable_extensions = ["html_image"]  # <img> with a width, as the Markdown of GitHub has it
myst_heading_anchors = 5  # as GitHub has them, which the pages link to

# Docstrings are plain words in which backquotes stand for code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "notebooks",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "capture_repr": (),
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "plot_gallery": True,
    "write_computation_times": False,
}

smartquotes = False  # they would make a dash of --policy
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Pygments has no colours for CSV, whose blocks are text then."""
    app.add_lexer("csv", TextLexer)
