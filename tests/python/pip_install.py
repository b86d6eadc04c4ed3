"""pip_install.py <name>=<value>...: installs the package into a scratch folder with pip and options of CMake, and computes with it.

ISOFOLD_INSTALLED=<build folder> installs that build first and has the package link it. Build requirements are those of this Python:
nothing is downloaded."""

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile

SOURCE = pathlib.Path(__file__).parents[2]
PROGRAM = """
import numpy, isofold, pathlib
print(isofold._core.__file__)
try: runtime = isofold.Runtime("cpu")
except isofold.UsageError as error: print("no CPU backend:", error)
else: assert runtime.operator("sum", n=3, dtype="f32")(numpy.ones((2, 3), "f4")).tolist() == [3, 3]
"""
STABLE = sys.version_info >= (3, 12) and not sysconfig.get_config_var("Py_GIL_DISABLED")


def run(*command, **named):
    print("+", *command, flush=True)
    return subprocess.run(command, check=True, **named)


def check_stable_abi(module):
    """From Python 3.12 on the module works in later versions too: it uses nothing that the headers do not declare for that."""
    if not STABLE:
        assert module.name == f"_core{sysconfig.get_config_var('EXT_SUFFIX')}", module
        return
    assert module.name == "_core.abi3.so", module
    undefined = run("nm", "--dynamic", "--undefined-only", str(module), capture_output=True, text=True).stdout
    used = {name for name in re.findall(r" U (\w+)", undefined) if name.startswith(("Py", "_Py"))}
    headers = ("-DPy_LIMITED_API=0x030c0000", f"-I{sysconfig.get_paths()['include']}", "-include", "Python.h")
    text = run(os.environ.get("CC", "cc"), "-E", *headers, "-x", "c", os.devnull, capture_output=True, text=True).stdout
    declared = set(re.findall(r"\w+", text))
    assert len(used) > 50 and used <= declared, sorted(used - declared)
    print(f"{len(used)} symbols of Python, all of the stable ABI")


def main():
    for module in ("pip", "scikit_build_core", "nanobind", "numpy"):
        if subprocess.run((sys.executable, "-c", f"import {module}"), capture_output=True).returncode:
            print(f"skipped: {module} is not installed for {sys.executable}")
            return 77
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        site = pathlib.Path(scratch, "site")
        if "ISOFOLD_INSTALLED" in options:
            options["CMAKE_PREFIX_PATH"] = f"{scratch}/prefix"
            run("cmake", "--install", options["ISOFOLD_INSTALLED"], "--prefix", f"{scratch}/prefix", stdout=subprocess.DEVNULL)
            options["ISOFOLD_INSTALLED"] = "ON"
        elif not os.environ.get("CMAKE_CXX_COMPILER_LAUNCHER"):
            options["CMAKE_CXX_FLAGS_RELEASE"] = "-O0"  # all of it is compiled
        settings = [f"build-dir={scratch}/build", *(f"cmake.define.{name}={value}" for name, value in options.items() if value)]
        environment = dict(os.environ, CMAKE_BUILD_PARALLEL_LEVEL=str(os.cpu_count()))
        run(
            *(sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index", "--target", str(site)),
            *(word for setting in settings for word in ("-C", setting)),
            str(SOURCE / "runtime/python"),
            env=environment,
        )
        environment = dict(environment, PYTHONPATH=str(site), ISOFOLD_CACHE="off")
        shown = run(sys.executable, "-c", PROGRAM, env=environment, cwd=scratch, stdout=subprocess.PIPE, text=True).stdout
        print(shown)
        module = pathlib.Path(shown.splitlines()[0])
        assert module.parent == site / "isofold"
        check_stable_abi(module)
        (wheel,) = site.glob("isofold-*.dist-info/WHEEL")
        tag = "cp312-abi3-" if STABLE else f"cp{sys.version_info.major}{sys.version_info.minor}-"
        assert f"\nTag: {tag}" in wheel.read_text(), wheel.read_text()
        for name in ("torch/__init__.py", "_core.pyi", "_types.pyi", "py.typed"):
            assert pathlib.Path(site, "isofold", name).exists(), name
        assert not pathlib.Path(site, "include").exists()
    return 0


sys.exit(main())
