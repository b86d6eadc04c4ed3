import inspect

import isofold.torch
import pytest
import type_checks

PROGRAM = """
import torch
import isofold
import isofold.torch as iso

x = torch.ones(2, 3, 64)
weight: torch.nn.Parameter = torch.nn.Parameter(torch.ones(64), requires_grad=False)
y: torch.Tensor = iso.rms_norm(x, (64,), weight, 1e-6, weight_mode="after_cast", weight_offset_one=True, out=None)
y = iso.rms_norm(x, x.shape[-1:], eps=None)
iso.fused_add_rms_norm(x, x.clone(), weight, residual_mode="rounded_sum")
y = iso.layer_norm(x, [64], weight, bias=None, eps=1e-5, out=y)
y = iso.softmax(x, -1, torch.float32)
y = iso.log_softmax(x, dim=-1, dtype=None)
y = iso.mean(x, dim=(1, 2), keepdim=True, dtype=torch.float32)
y = iso.sum(x)
iso.prepare_up_to(4)
runtime: isofold.Runtime = iso.runtime(x.device)
total = runtime.operator("sum", n=64, dtype=torch.float32)(x)
with iso.batch_invariant_mode("cpu", operators=["_softmax"]):
    enabled: bool = iso.is_batch_invariant_mode_enabled()
iso.enable_batch_invariant_mode(devices=["cpu"])
iso.disable_batch_invariant_mode()
reasons: list[dict[str, int]] = [line.passed for line in iso.coverage()]
"""
REFUSED = {
    "iso.rms_norm(x, 64)": "arg-type",
    "iso.softmax(x)": "call-arg",
    "iso.softmax([1.0], -1)": "arg-type",
    'iso.sum(x, dtype="f32")': "arg-type",
    "z = iso.fused_add_rms_norm(x, x)": "func-returns-value",
    "iso.coverage()[0].count": "attr-defined",
}


def test_everything_public_has_types_and_a_docstring():
    for name in isofold.torch.__all__:
        thing = getattr(isofold.torch, name)
        assert thing.__doc__, name
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            assert signature.return_annotation is not signature.empty, name
            for parameter in signature.parameters.values():
                assert parameter.annotation is not parameter.empty, (name, parameter.name)


def test_a_typed_program_runs(cpu):
    exec(PROGRAM, {"__name__": "program"})


def test_a_type_checker_takes_what_is_right_and_refuses_what_is_wrong(tmp_path):
    pytest.importorskip("mypy")
    type_checks.check(tmp_path, PROGRAM, REFUSED)
