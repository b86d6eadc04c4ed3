"""run.py <modules> <tests>...: pytest over the tests; exit code 77, which counts as skipped, where a module is not installed."""

import importlib.util
import sys

for module in ("pytest", *filter(None, sys.argv[1].split(","))):
    if importlib.util.find_spec(module) is None:
        print(f"skipped: {module} is not installed for {sys.executable} (pip install {module} there runs these tests)")
        sys.exit(77)

import pytest

sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-rs", *sys.argv[2:]]))
