"""What a caller may get wrong."""

import copy

import numpy as np
import pytest
import torch

import isofold
import isofold.torch as ours
from same import same_bits


def test_arguments_of_other_types_are_errors(device):
    x = torch.randn(4, 96, device=device)
    assert same_bits(ours.layer_norm(x, (96,), eps=0), ours.layer_norm(x, (96,), eps=0.0))
    for call in (lambda: ours.rms_norm(x, (96,), None, "small"), lambda: ours.rms_norm(x, ("96",))):
        with pytest.raises((TypeError, isofold.UsageError)):
            call()
    with pytest.raises(TypeError, match="8 arguments"):
        isofold.torch._functions._eager_softmax(x)
    with pytest.raises(isofold.UsageError, match="eps"):  # what C++ throws has its own type
        ours.rms_norm(x, (96,), None, float("nan"))


def test_what_is_no_tensor_is_named(device):
    x = torch.randn(4, 96, device=device)
    for call, name in (
        (lambda: ours.rms_norm(np.ones((4, 96)), (96,)), "input is <class 'numpy.ndarray'>"),
        (lambda: ours.rms_norm(None, (96,)), "input is <class 'NoneType'>"),
        (lambda: ours.rms_norm(x, (96,), [1.0] * 96), "weight is <class 'list'>"),
        (lambda: ours.layer_norm(x, (96,), bias=1.0), "bias is <class 'float'>"),
        (lambda: ours.fused_add_rms_norm(x, 1.0), "residual is <class 'float'>"),
        (lambda: ours.softmax([1.0], -1), "input is <class 'list'>"),
        (lambda: ours.sum([1.0]), "input is <class 'list'>"),
        (lambda: ours.mean(x, -1, out=np.ones(4)), "out is <class 'numpy.ndarray'>"),
    ):
        with pytest.raises(TypeError, match=f"{name}, it must be a torch.Tensor"):
            call()
    with pytest.raises(TypeError, match=r"normalized_shape is 96, it must be a sequence of sizes: \(96,\)"):
        ours.rms_norm(x, 96)


def test_out_has_the_shape_and_the_dtype_of_the_result(device):
    x = torch.randn(2, 3, 96, device=device)
    for call, shape in (
        (lambda out: ours.rms_norm(x, (96,), out=out), (2, 3, 96)),
        (lambda out: ours.rms_norm(x, (3, 96), out=out), (2, 3, 96)),
        (lambda out: ours.layer_norm(x, (96,), out=out), (2, 3, 96)),
        (lambda out: ours.softmax(x, -1, torch.float32, out=out), (2, 3, 96)),
        (lambda out: ours.log_softmax(x, 0, torch.float32, out=out), (2, 3, 96)),
        (lambda out: ours.sum(x, -1, dtype=torch.float32, out=out), (2, 3)),
        (lambda out: ours.mean(x, (0, 1), True, dtype=torch.float32, out=out), (1, 1, 96)),
    ):
        out = torch.empty(shape, device=device)
        assert call(out) is out
        with pytest.raises(isofold.UsageError, match="out has shape"):
            call(out.reshape(-1))  # of as many numbers, and with the last axis of some
        with pytest.raises(isofold.UsageError, match="out is torch.bfloat16"):
            call(out.bfloat16())


def test_a_wider_out_gets_wider_numbers_along_every_axis(device):
    x = torch.randn(8, 96, device=device).bfloat16()
    wide = torch.empty(8, 96, device=device)
    for dim in (0, 1):
        assert same_bits(ours.softmax(x, dim, out=wide).clone(), ours.softmax(x, dim, torch.float32))
        sums = torch.empty_like(wide.sum(dim, keepdim=True))
        assert same_bits(ours.sum(x, dim, True, out=sums), ours.sum(x, dim, True, dtype=torch.float32))


def test_an_axis_may_be_a_number_of_numpy(device):
    x = torch.randn(2, 3, 96, device=device)
    for dim in (0, -1):
        assert same_bits(ours.sum(x, np.int64(dim)), ours.sum(x, dim))
        assert same_bits(ours.softmax(x, np.int64(dim)), ours.softmax(x, dim))


def test_one_operator_of_the_mode_by_its_name():
    with ours.batch_invariant_mode(operators="_softmax"):
        assert ours.is_batch_invariant_mode_enabled()
    with pytest.raises(isofold.UsageError, match='operators has "softmax"'):
        ours.enable_batch_invariant_mode(operators="softmax")


def test_a_model_with_an_operator_can_be_copied(device):
    model = torch.nn.Module()
    model.softmax = ours.runtime(device).operator("softmax", n=96, dtype="f32")
    assert copy.deepcopy(model).softmax is model.softmax


def test_memory_that_pytorch_does_not_show(device):
    softmax = ours.runtime(device).operator("softmax", n=96, dtype="f32")
    x = torch.randn(4, 96, device=device)
    for given in (x.to("meta"), x.to_sparse()):
        with pytest.raises(isofold.UsageError, match="the memory of this Tensor cannot be read: .*") as caught:
            softmax(given)
        assert "\n" not in str(caught.value)


def test_compiled_functions_break_their_graph_at_an_operator(device):
    softmax = ours.runtime(device).operator("softmax", n=96, dtype="f32")

    def function(x):
        return softmax(x + 1) * 2

    compiled = torch.compile(function, backend="aot_eager")
    for _ in range(3):
        x = torch.randn(4, 96, device=device)
        assert same_bits(compiled(x), function(x))
