"""What all tests of the Python package share."""

import os

import pytest

import isofold

# Kernels of the tests stay out of the user's cache.
os.environ["ISOFOLD_CACHE"] = "off"
for _variable in ("ISOFOLD_DEVICE", "ISOFOLD_TABLES"):
    os.environ.pop(_variable, None)


def _cpu_or_reason():
    try:
        return isofold.Runtime("cpu"), None
    except isofold.UsageError as error:
        return None, str(error)


_CPU, _WHY_NO_CPU = _cpu_or_reason()


@pytest.fixture(scope="session")
def cpu():
    """A Runtime on the CPU."""
    if _CPU is None:
        pytest.skip(f"no CPU backend: {_WHY_NO_CPU}")
    return _CPU
