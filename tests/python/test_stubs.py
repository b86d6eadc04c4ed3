"""What type checkers and editors see of the package."""

import ast
import pathlib

import pytest
import type_checks

import isofold
from isofold import _core

FOLDER = pathlib.Path(isofold.__file__).parent
PROGRAM = """
import copy
import logging
import pathlib

import numpy as np
import isofold

runtime = isofold.Runtime(device="cpu", cache_folder=pathlib.Path("off"), tables=[], bundles=[], require_bundled=False, require_tuned=False)
norm: isofold.Operator = runtime.operator(op="rms_norm", n=64, dtype=np.float32, fold=None, eps=1e-5, weight_dtype="f32")
name: str = runtime.device_name
x = np.ones((3, 64), np.float32)
y = norm(x, weight=x[0])
norm.launch(x, x[0], y, stream=None, workspace=None)
again: isofold.Operator = copy.deepcopy(norm)
norm.prepare([1, 2], alignment=16)
norm.prepare_up_to(max_tokens=4)
names: list[str] = [tensor.name for tensor in norm.inputs + norm.outputs]
facts: isofold.TensorFacts = norm.inputs[0]
schedule: str = norm.choice(3, alignment=16, workspace_bytes=norm.workspace_bytes(3)).schedule
spec: str = isofold.spec("sum", n=4, dtype="bfloat16", output_dtype=np.dtype("float32"))
summaries: dict[str, str] = isofold.named_operators()
version: str = isofold.__version__
isofold.log_to(logging.getLogger("isofold"))
isofold.log_to(lambda level, text: None, level="info")
isofold.log_to(None)
try:
    raise isofold.UsageError("wrong")
except (isofold.Error, ValueError):
    pass
"""
REFUSED = {
    "runtime.operators": "attr-defined",
    "runtime.operator(3)": "arg-type",
    'runtime.operator("sum", n=4, dtype=32)': "arg-type",
    'runtime.operator("sum", 4, "f32", "leaf=8")': "call-arg",
    "norm([1.0])": "arg-type",
    "norm.launch(x, x[0], y, stream=1.5)": "arg-type",
    "norm.prepare(1)": "arg-type",
    "facts.shape": "attr-defined",
    'isofold.log_to("isofold")': "arg-type",
    'isofold.Runtime(devices="cpu")': "call-arg",
}


def stub():
    return ast.parse((FOLDER / "_core.pyi").read_text())


def functions(scope):
    """Functions of a stub, by name, methods and properties too."""
    for node in scope.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{name}", one) for name, one in functions(node))


def test_the_package_says_that_it_is_typed():
    assert (FOLDER / "py.typed").exists()


def test_the_stub_has_what_the_module_has():
    names = {node.name for node in stub().body if isinstance(node, (ast.ClassDef, ast.FunctionDef))} | {"__version__"}
    assert set(isofold.__all__) - {"log_to"} <= names
    assert {name for name in dir(_core) if not name.startswith("__")} <= names
    for node in stub().body:
        if isinstance(node, ast.ClassDef):
            members = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
            assert {name for name in vars(getattr(_core, node.name)) if not name.startswith("_")} <= members


def test_every_type_is_a_type_of_python():
    assert "std::" not in (FOLDER / "_core.pyi").read_text()


def test_everything_public_has_a_docstring_and_types():
    for node in stub().body:
        if isinstance(node, ast.ClassDef) and node.name in isofold.__all__:
            assert ast.get_docstring(node), node.name
    for name, function in functions(stub()):
        if name.split(".")[0] not in isofold.__all__:
            continue
        assert ast.get_docstring(function) or name.rpartition(".")[2].startswith("__"), name
        assert function.returns is not None, name
        arguments = [*function.args.args, *function.args.kwonlyargs, function.args.vararg, function.args.kwarg]
        for argument in filter(None, arguments):
            if argument.arg == "self":
                continue
            assert argument.annotation is not None and ast.unparse(argument.annotation) not in ("object", "dict", "list"), (name, argument.arg)


def test_a_typed_program_runs(cpu):
    exec(PROGRAM, {"__name__": "program"})


def test_a_type_checker_takes_what_is_right_and_refuses_what_is_wrong(tmp_path):
    pytest.importorskip("mypy")
    type_checks.check(tmp_path, PROGRAM, REFUSED)
