"""pip_install.py <build folder>: installs this build, and with pip the package against it, both into a scratch folder; then computes."""

import os
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).parents[2]
PROGRAM = """
import numpy, isofold, pathlib
print(pathlib.Path(isofold._core.__file__).name)
try: runtime = isofold.Runtime("cpu")
except isofold.UsageError as error: print("no CPU backend:", error)
else: assert runtime.operator("sum", n=3, dtype="f32")(numpy.ones((2, 3), "f4")).tolist() == [3, 3]
"""


def run(*command, **named):
    print("+", *command, flush=True)
    return subprocess.run(command, check=True, **named)


def cmake_version():
    words = subprocess.run(("cmake", "--version"), capture_output=True, text=True, check=True).stdout.split()
    return tuple(int(part) for part in words[2].split("-")[0].split(".")[:2])


def main():
    for module in ("pip", "scikit_build_core", "nanobind", "numpy"):
        if subprocess.run((sys.executable, "-c", f"import {module}"), capture_output=True).returncode:
            print(f"skipped: {module} is not installed for {sys.executable}")
            return 77
    stable = sys.version_info >= (3, 12) and cmake_version() >= (3, 26)
    with tempfile.TemporaryDirectory() as scratch:
        prefix, site = f"{scratch}/prefix", f"{scratch}/site"
        run("cmake", "--install", sys.argv[1], "--prefix", prefix, stdout=subprocess.DEVNULL)
        settings = {
            "build-dir": f"{scratch}/build",
            "cmake.version": ">=3.25",
            "cmake.define.ISOFOLD_INSTALLED": "ON",
            "cmake.define.CMAKE_PREFIX_PATH": prefix,
        }
        if not stable:
            settings["wheel.py-api"] = ""
        environment = dict(os.environ, CMAKE_BUILD_PARALLEL_LEVEL=str(os.cpu_count()))
        run(
            *(sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index", "--target", site),
            *(word for name, value in settings.items() for word in ("-C", f"{name}={value}")),
            str(SOURCE / "runtime/python"),
            env=environment,
        )
        environment = dict(environment, PYTHONPATH=site, ISOFOLD_CACHE="off")
        shown = run(sys.executable, "-c", PROGRAM, env=environment, cwd=scratch, stdout=subprocess.PIPE, text=True).stdout
        print(shown)
        assert not stable or shown.startswith("_core.abi3."), shown
        for name in ("torch/__init__.py", "_core.pyi", "_types.pyi", "py.typed"):
            assert pathlib.Path(site, "isofold", name).exists(), name
        assert not pathlib.Path(site, "include").exists()
    return 0


sys.exit(main())
