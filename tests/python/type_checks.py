"""Runs mypy as a user would who has the package installed."""

import os
import pathlib
import re
import subprocess
import sys

import isofold


def check(folder, program, refused):
    """mypy --strict finds nothing in the program, and in each line of `refused`, put after it, one error of the kind given."""
    lines = program.count("\n")
    (folder / "program.py").write_text(program + "\n".join(refused) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), "program.py"]
    environment = dict(os.environ, PYTHONPATH=str(pathlib.Path(isofold.__file__).absolute().parents[1]))
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    found = re.findall(r"^program.py:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    expected = [(str(lines + 1 + i), kind) for i, kind in enumerate(refused.values())]
    assert found == expected and f"Found {len(expected)} errors in 1 file" in done.stdout, done.stdout + done.stderr
