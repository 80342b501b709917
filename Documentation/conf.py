# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx: HTML of these files, and of the kernel-doc in the sources. make docs calls it, with KERNEL_SOURCE in the environment."""

import os
import re
import sys
from pathlib import Path

top = Path(__file__).resolve().parent.parent
kernel = Path(os.environ["KERNEL_SOURCE"])
# kernel-doc, and its directive, are the kernel's own.
sys.path.insert(0, str(kernel / "Documentation/sphinx"))

project = "hv_vmbus"
release = re.search(r'MODULE_VERSION\("(.*)"\)', (top / "main.c").read_text())[1]
author = "the authors of hv_vmbus"
extensions = ["kerneldoc", "sphinx.ext.graphviz"]
kerneldoc_bin = str(kernel / "scripts/kernel-doc")
kerneldoc_srctree = str(top)
primary_domain = "c"
highlight_language = "none"
graphviz_output_format = "svg"
exclude_patterns = ["ABI"]
html_theme = "alabaster"
html_theme_options = {"page_width": "min(1260px, 97vw)", "body_max_width": "none", "sidebar_width": "230px",
                      "fixed_sidebar": True, "show_powered_by": False}
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_show_copyright = False
html_title = f"hv_vmbus {release}"
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_copy_source = False
# Of the kernel; what the documentation of the driver refers to by name.
nitpicky = False
c_id_attributes = ["__user", "__iomem", "__init", "__percpu", "__always_inline", "noinline"]


def between_pages(app, doctree, docname):
    """Links that are read in the tree, too, name files; here they are pages."""
    from docutils import nodes  # pylint: disable=import-outside-toplevel
    for link in doctree.findall(nodes.reference):
        target = link.get("refuri", "")
        if target.endswith(".rst") and "/" not in target:
            page = target.removesuffix(".rst")
            link["refuri"] = app.builder.get_relative_uri(docname, page)
            if link.astext() == target:
                link[:] = [nodes.Text(app.env.titles[page].astext())]


def setup(app):
    app.connect("doctree-resolved", between_pages)
