import numpy as np
import pytest

import isofold


@pytest.fixture(scope="module")
def norm(cpu):
    return cpu.operator("rms_norm", n=64, dtype="f32")


X, W = np.ones((3, 64), np.float32), np.ones(64, np.float32)


def test_errors_are_python_exceptions():
    assert issubclass(isofold.UsageError, isofold.Error) and issubclass(isofold.UsageError, ValueError)
    assert issubclass(isofold.InternalError, isofold.Error) and issubclass(isofold.Error, RuntimeError)
    assert isofold.UsageError.__module__ == "isofold"


@pytest.mark.parametrize(
    "arguments, named, says",
    [
        ((X,), {}, "needs the input 'weight'"),
        ((X, W, X, X), {}, "takes 2 tensors by place, 4 were passed"),
        ((X, W), {"z": X}, "has no tensor 'z'; it has x, weight, y"),
        ((X, W), {"weight": W}, "weight was passed twice"),
        ((X.astype(np.float64), W), {}, "x is f64, this operator takes f32"),
        ((X.astype(np.int16), W), {}, "x is int16, this operator takes f32"),
        ((X[:, :32], W), {}, r"x has shape \[3, 32\], it must be \[tokens, 64\]"),
        ((X[0, 0], W), {}, r"x has shape \[\]"),
        ((X, X), {}, r"weight has shape \[3, 64\], it must be \[64\]"),
        ((np.ones((64, 3), np.float32).T, W), {}, r"last axis is not contiguous .* pass x.contiguous\(\), or numpy.ascontiguousarray\(x\)"),
        ((X.astype(">f4"), W), {}, "x is >f4, this operator takes f32"),
        ((np.ma.masked_array(X, X > 0), W), {}, "a masked array's mask would not be seen"),
        ((np.broadcast_to(W, (3, 64)), W), {}, "no one positive distance"),
        ((X[::-1], W), {}, "no one positive distance"),
        ((X, W), {"workspace": np.ones((64, 64), np.float32)[:, :32]}, "workspace is not contiguous"),
        ((X, W), {"workspace": np.frombuffer(b"0123", np.uint8)}, "workspace is written, but its memory is read-only"),
        ((np.ones((3, 2, 64), np.float32).transpose(1, 0, 2), W), {}, "no one positive distance"),
    ],
)
def test_tensors_that_do_not_suit(norm, arguments, named, says):
    with pytest.raises(isofold.UsageError, match=says):
        norm(*arguments, **named)


def test_outputs_that_do_not_suit(norm):
    y = np.empty_like(X)
    with pytest.raises(isofold.UsageError, match="needs an output 'y'"):
        norm.launch(X, W)
    with pytest.raises(isofold.UsageError, match="x has 3 tokens, y has 2"):
        norm.launch(X, W, y[:2])
    y.flags.writeable = False
    with pytest.raises(isofold.UsageError, match="read-only"):
        norm.launch(X, W, y)
    big = np.ones((4, 64), np.float32)
    with pytest.raises(isofold.UsageError, match="overlaps"):
        norm.launch(big[1:], W, big[:3])


def test_what_is_no_tensor_is_a_type_error(norm):
    for thing in (3, [1.0], "x", object()):
        with pytest.raises(TypeError, match="is no tensor"):
            norm(thing, W)


def test_operators_that_do_not_exist(cpu):
    with pytest.raises(isofold.UsageError, match='there is no operator "nope"; allowed are rms_norm'):
        cpu.operator("nope", n=1, dtype="f32")
    with pytest.raises(isofold.UsageError, match="unknown or repeated key 'eps'; there are output_dtype, scale"):
        cpu.operator("softmax", n=1, dtype="f32", eps=1)
    with pytest.raises(isofold.UsageError, match="options of cross_entropy .*unknown or repeated key 'eps'"):
        cpu.operator("cross_entropy", n=1, dtype="f32", eps=1)
    with pytest.raises(isofold.UsageError, match="needs its row length n and a dtype"):
        cpu.operator("softmax")
    with pytest.raises(isofold.UsageError, match='dtype is "f31"; allowed are f32, bf16'):
        cpu.operator("softmax", n=1, dtype="f31")
    with pytest.raises(isofold.UsageError, match='weight_mode is "late"; allowed are f32, after_cast'):
        cpu.operator("rms_norm", n=1, dtype="f32", weight_mode="late")
    with pytest.raises(isofold.UsageError, match='eps is "a"; allowed is a number'):
        cpu.operator("rms_norm", n=1, dtype="f32", eps="a")
    with pytest.raises(isofold.UsageError, match='options of rms_norm "weight=0": weight is "0"; allowed are off, on'):
        cpu.operator("rms_norm", n=1, dtype="f32", weight=0)
    with pytest.raises(isofold.UsageError, match='groups is "on"; allowed is a whole number'):
        cpu.operator("rms_norm", n=1, dtype="f32", groups=True)
    for wrong in ("1e-5", "1 weight=off", [1], object()):
        with pytest.raises(TypeError, match="eps is .*, it must be True, False, a number or a name"):
            cpu.operator("rms_norm", n=1, dtype="f32", eps=wrong)
    with pytest.raises(isofold.UsageError, match='no option is called "eps=1 weight"'):
        cpu.operator("rms_norm", n=1, dtype="f32", **{"eps=1 weight": False})
    with pytest.raises(isofold.UsageError, match="eps is -1"):
        cpu.operator("rms_norm", n=1, dtype="f32", eps=-1)
    with pytest.raises(isofold.UsageError, match="says everything by itself"):
        cpu.operator(isofold.spec("sum", 4, "f32"), n=4)
    with pytest.raises(isofold.UsageError):
        cpu.operator("sum N=4 (x: f32[row]) { y: f32 = total }")
    with pytest.raises(isofold.UsageError, match="tokens is 0"):
        cpu.operator("sum", n=4, dtype="f32").prepare([0])


def test_devices_that_do_not_exist():
    with pytest.raises(isofold.UsageError, match="allowed: auto, cpu, cuda"):
        isofold.Runtime("tpu")
    with pytest.raises(isofold.UsageError):
        isofold.Runtime("cuda:99")


def test_memory_of_another_device(norm):
    class OnCuda:
        __cuda_array_interface__ = {"shape": (3, 64), "typestr": "<f4", "data": (1 << 20, False), "version": 3}

    with pytest.raises(isofold.UsageError, match="x is on cuda, this operator works on cpu"):
        norm.launch(OnCuda(), W, np.empty_like(X))


def test_an_error_in_a_tensor_s_own_protocol_is_passed_on(norm):
    class Broken:
        def __dlpack_device__(self):
            return (1, 0)

        def __dlpack__(self):
            raise BufferError("not now")

    with pytest.raises(BufferError, match="not now"):
        norm(Broken(), W)
