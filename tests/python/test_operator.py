import copy
import pickle

import numpy as np
import pytest
import reference

import isofold


def rows(tokens, n, seed=0):
    return np.random.default_rng(seed).standard_normal((tokens, n), dtype=np.float32)


def test_every_named_operator_has_the_spec_of_its_defaults(cpu):
    names = isofold.named_operators()
    assert {"rms_norm", "softmax", "sum", "silu_and_mul_quant"} <= names.keys()
    for name, summary in names.items():
        operator = cpu.operator(name, n=64, dtype="bf16")
        assert operator.spec == isofold.spec(name, 64, "bfloat16")
        assert operator.spec == cpu.operator(operator.spec).spec
        assert operator.bits_id == cpu.operator(operator.spec).bits_id
        assert summary


def test_dtypes_are_what_numpy_has_for_them(cpu):
    for dtype in ("f32", "float32", np.float32, np.dtype("float32"), rows(1, 1).dtype):
        assert cpu.operator("sum", n=64, dtype=dtype).spec == isofold.spec("sum", 64, "f32")
    assert cpu.operator("sum", n=64, dtype=np.int8, output_dtype=np.float32).outputs[0].dtype == "f32"
    assert cpu.operator("rms_norm", n=64, dtype="f32", weight=np.bool_(False)).spec == isofold.spec("rms_norm", 64, "f32", weight=False)
    with pytest.raises(isofold.UsageError, match='dtype is "float"; allowed are f32'):
        cpu.operator("sum", n=64, dtype=float)


def test_the_functional_form_makes_its_results(cpu):
    x, weight = rows(5, 64), rows(1, 64)[0]
    norm = cpu.operator("rms_norm", n=64, dtype="f32", eps=1e-5)
    y = norm(x, weight)
    assert y.shape == x.shape and y.dtype == np.float32
    np.testing.assert_allclose(y, reference.rms_norm(x, weight, 1e-5), rtol=1e-5, atol=1e-6)
    assert norm(weight=weight, x=x).tobytes() == y.tobytes()


def test_launch_writes_into_outputs_that_are_given(cpu):
    x, residual, weight = rows(5, 64), rows(5, 64, 1), rows(1, 64)[0]
    norm = cpu.operator("add_rms_norm", n=64, dtype="f32")
    assert [tensor.name for tensor in norm.inputs] == ["x", "residual", "weight"]
    assert [tensor.name for tensor in norm.outputs] == ["y", "residual_out"]
    y, total = norm(x, residual, weight)
    assert total.tobytes() == (x + residual).tobytes()
    norm.launch(x, residual, weight, y=x, residual_out=residual)  # in place
    assert x.tobytes() == y.tobytes() and residual.tobytes() == total.tobytes()


def test_a_call_makes_the_outputs_that_are_none(cpu):
    x, residual, weight = rows(5, 64), rows(5, 64, 1), rows(1, 64)[0]
    norm = cpu.operator("add_rms_norm", n=64, dtype="f32")
    expected, total = np.empty_like(x), np.empty_like(x)
    norm.launch(x, residual, weight, expected, total)
    y, residual_out = norm(x, residual, weight, y=None, residual_out=residual)
    assert residual_out is residual and residual.tobytes() == total.tobytes() and y.tobytes() == expected.tobytes()


def test_copies_share_a_handle(cpu):
    norm = cpu.operator("rms_norm", n=64, dtype="f32")
    assert copy.copy(norm) is norm and copy.deepcopy({"norm": norm})["norm"] is norm and copy.deepcopy(cpu) is cpu
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(norm)


def test_any_leading_dimensions_and_strided_rows(cpu):
    sums = cpu.operator("sum", n=64, dtype="f32")
    x = rows(6, 80)
    dense = np.ascontiguousarray(x[:, :64])
    expected = sums(dense)
    assert expected.shape == (6,)
    assert sums(x[:, :64]).tobytes() == expected.tobytes()
    assert sums(dense.reshape(2, 3, 64)).shape == (2, 3)
    assert sums(dense.reshape(2, 3, 64)).tobytes() == expected.tobytes()
    assert sums(dense[0]).shape == () and float(sums(dense[0])) == expected[0]
    assert sums(dense[:0]).shape == (0,)


def test_rows_without_elements(cpu):
    for shape in ((3, 0), (2, 3, 0), (0, 0)):
        x = np.zeros(shape, np.float32)
        assert cpu.operator("sum", n=0, dtype="f32")(x).tobytes() == np.zeros(shape[:-1], np.float32).tobytes()
        assert np.isnan(cpu.operator("mean", n=0, dtype="f32")(x)).all()
        assert cpu.operator("softmax", n=0, dtype="f32")(x).shape == shape


def test_a_row_has_the_same_bits_in_every_batch(cpu):
    x = rows(33, 1000)
    softmax = cpu.operator("softmax", n=1000, dtype="f32")
    whole = softmax(x)
    np.testing.assert_allclose(whole, reference.softmax(x), rtol=1e-5)
    for tokens in (1, 2, 8, 17):
        assert softmax(x[:tokens]).tobytes() == whole[:tokens].tobytes()


def test_bf16_as_bits_and_as_ml_dtypes(cpu):
    x, weight = rows(3, 64), np.ones(64, np.float32)
    norm = cpu.operator("rms_norm", n=64, dtype="bf16")
    bits = norm(reference.bf16_bits(x), reference.bf16_bits(weight))
    assert bits.dtype == np.uint16
    np.testing.assert_allclose(reference.from_bf16_bits(bits), reference.rms_norm(x, weight, 1e-6), rtol=2e-2, atol=1e-3)
    ml_dtypes = pytest.importorskip("ml_dtypes")
    y = norm(x.astype(ml_dtypes.bfloat16), weight.astype(ml_dtypes.bfloat16))
    assert y.dtype == ml_dtypes.bfloat16 and y.tobytes() == bits.tobytes()


def test_per_token_and_scalar_tensors(cpu):
    x = rows(4, 64)
    masked = cpu.operator("masked_softmax", n=64, dtype="f32")
    length = np.array([64, 1, 10, 0], np.int32)
    y = masked(x, length)
    assert y[1, 0] == 1 and not y[2, 10:].any() and np.isnan(y[3]).all()
    quantised = cpu.operator("rms_norm_quant_i8", n=64, dtype="f32", weight=False)
    y, scale = quantised(x)
    assert y.dtype == np.int8 and scale.shape == (4,) and scale.dtype == np.float32
    static = cpu.operator("rms_norm_static_quant", n=64, dtype="f32", quantized_dtype="i8")
    assert [(tensor.name, tensor.extent) for tensor in static.inputs] == [("x", "row"), ("weight", "column"), ("scale", "scalar")]
    assert static(x, np.ones(64, np.float32), np.float32([0.1])).shape == (4, 64)


def test_one_scale_for_all_rows_of_a_fused_norm(cpu):
    x, residual = rows(4, 64), rows(4, 64)
    passed = cpu.operator("add_rms_norm_quant", n=64, dtype="f32", weight=False, quantized_dtype="i8", static_scale=True)
    assert [tensor.name for tensor in passed.inputs] == ["x", "residual", "scale"]
    y, sums = passed(x, residual, np.float32([0.5]))
    fixed = cpu.operator("add_rms_norm_quant", n=64, dtype="f32", weight=False, quantized_dtype="i8", static_scale=0.5)
    y_fixed, sums_fixed = fixed(x, residual)
    assert y.dtype == np.int8 and y.any() and y.tobytes() == y_fixed.tobytes()
    assert sums.tobytes() == sums_fixed.tobytes() == (x + residual).tobytes()


def test_groups_are_a_dimension(cpu):
    heads = cpu.operator("head_rms_norm", n=32, dtype="f32", groups=4)
    x, weight = rows(3, 200), np.ones(32, np.float32)
    view = (
        x[:, :128].reshape(3, 4, 32)
        if x[:, :128].flags.contiguous
        else np.lib.stride_tricks.as_strided(x, (3, 4, 32), (800, 128, 4))
    )
    y = heads(view, weight)
    single = cpu.operator("rms_norm", n=32, dtype="f32")(np.ascontiguousarray(view), weight)
    np.testing.assert_allclose(y, single, rtol=1e-6)
    with pytest.raises(isofold.UsageError, match=r"must be \[tokens, 4, 32\]"):
        heads(x[:, :128], weight)


def test_what_an_operator_says_of_itself(cpu):
    norm = cpu.operator("rms_norm", n=4096, dtype="bf16")
    assert cpu.device_name == "cpu" and cpu.device.startswith("cpu ")
    assert norm.n == 4096
    assert len(norm.bits_id) == 32
    norm.prepare([1, 7], alignment=2)
    norm.prepare_up_to(64)
    choice = norm.choice(7)
    assert choice.schedule.startswith("cpu ") and choice.origin == "cost model"
    assert choice.schedule in norm.plan(7)
    assert "define" in norm.source(7)
    assert norm.boundaries()[0] == 1
    other = cpu.operator("rms_norm", n=4096, dtype="bf16", fold="leaf=8 lanes=1 segments=1")
    assert other.bits_id != norm.bits_id


def test_the_options_of_a_runtime(cpu, tmp_path):
    norm = isofold.Runtime("cpu", require_tuned=True).operator("rms_norm", n=100, dtype="f32")
    with pytest.raises(isofold.UsageError, match="cost model"):
        norm.prepare([1])
    bundled = isofold.Runtime("cpu", cache_folder="off", require_bundled=True).operator("sum", n=100, dtype="f32")
    with pytest.raises(isofold.UsageError, match="bundle"):
        bundled(rows(1, 100))
    with pytest.raises(isofold.UsageError, match="nothing.jsonl"):
        isofold.Runtime("cpu", tables=[str(tmp_path / "nothing.jsonl")])
    with pytest.raises(isofold.UsageError, match="nothing.bundle"):
        isofold.Runtime("cpu", cache_folder=tmp_path / "cache", tables=(), bundles=(tmp_path / "nothing.bundle",))
    runtime = isofold.Runtime("cpu", record=tmp_path / "record")
    sums = runtime.operator("sum", n=100, dtype="f32")
    sums(rows(7, 100))
    del runtime, sums
    assert "row_sum N=100" in (tmp_path / "record").read_text()


def test_a_workspace_is_asked_for_and_taken(cpu):
    softmax = cpu.operator("softmax", n=64, dtype="f32")
    x = np.ones((3, 64), np.float32)
    out = np.zeros_like(x)
    assert softmax.workspace_bytes(1000) == 0  # no operator on a CPU wants one
    memory = np.zeros(1024, np.uint8)
    aligned = memory[-memory.ctypes.data % 256 :][:512]
    softmax.launch(x, out, workspace=aligned)
    assert (out == 1 / 64).all() and not memory.any()
    with pytest.raises(isofold.UsageError, match="workspace is not aligned to 256 bytes"):
        softmax.launch(x, out, workspace=aligned[1:])
    with pytest.raises(isofold.UsageError, match="max_tokens is -1"):
        softmax.workspace_bytes(-1)
