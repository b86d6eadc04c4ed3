"""Runs what a page of the documentation says."""

import os
import pathlib
import re

SOURCE = pathlib.Path(os.environ.get("ISOFOLD_SOURCE", pathlib.Path(__file__).parents[2]))


def blocks(page, language="python"):
    """The page's blocks of code: line, what stands behind the language, text."""
    text = (SOURCE / "docs" / page).read_text()
    found = []
    for match in re.finditer(rf"^```{language}([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found.append((text.count("\n", 0, match.start()) + 2, match[1].strip(), match[2]))
    return found


def run_page(page, skip=(), namespace=None):
    """Executes the page's Python, one block after the other, in one namespace. Blocks whose info is in `skip` are left out."""
    namespace = {"__name__": page} if namespace is None else namespace
    ran = 0
    for line, info, text in blocks(page):
        if info in skip:
            continue
        code = compile("\n" * (line - 1) + text, str(SOURCE / "docs" / page), "exec")
        exec(code, namespace)
        ran += 1
    assert ran, f"{page} has no Python"
    return namespace
