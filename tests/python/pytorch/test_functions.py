import pytest
import torch
import torch.nn.functional as F
from same import close, same_bits

import isofold
import isofold.torch as ours

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@pytest.fixture(params=DTYPES, ids=str)
def x(request, device):
    return torch.randn(3, 7, 96, device=device).to(request.param)


def test_rms_norm(x):
    weight = torch.randn(96, device=x.device, dtype=x.dtype)
    close(ours.rms_norm(x, (96,), weight, 1e-5), F.rms_norm(x, (96,), weight, 1e-5))
    close(ours.rms_norm(x, [96]), F.rms_norm(x, [96]))
    close(ours.rms_norm(x, (7, 96)), F.rms_norm(x, (7, 96)))
    offset = ours.rms_norm(x, (96,), weight, 1e-5, weight_offset_one=True)
    close(offset, F.rms_norm(x.float(), (96,), 1 + weight.float(), 1e-5).to(x.dtype))
    late = ours.rms_norm(x, (96,), weight, 1e-5, weight_mode="after_cast")
    assert same_bits(late, ours.rms_norm(x, (96,), None, 1e-5) * weight)
    wide = torch.randn(96, device=x.device)
    assert ours.rms_norm(x, (96,), wide).dtype == x.dtype


def test_fused_add_rms_norm_is_in_place(x):
    residual, weight = torch.randn_like(x), torch.randn(96, device=x.device, dtype=x.dtype)
    total = x + residual
    expected = ours.rms_norm(total, (96,), weight, 1e-6)
    y, kept = x.clone(), residual.clone()
    assert ours.fused_add_rms_norm(y, kept, weight, residual_mode="rounded_sum") is None
    assert same_bits(kept, total) and same_bits(y, expected)
    y, kept = x.clone(), residual.clone()
    ours.fused_add_rms_norm(y, kept, weight)
    assert same_bits(kept, total)
    close(y, expected)


def test_layer_norm(x):
    weight, bias = torch.randn(2, 96, device=x.device, dtype=x.dtype)
    close(ours.layer_norm(x, (96,), weight, bias), F.layer_norm(x, (96,), weight, bias))
    close(ours.layer_norm(x, (96,), weight), F.layer_norm(x, (96,), weight))
    close(ours.layer_norm(x, (96,)), F.layer_norm(x, (96,)))
    close(ours.layer_norm(x, (96,), None, bias), F.layer_norm(x, (96,), None, bias))
    close(ours.layer_norm(x, (7, 96)), F.layer_norm(x, (7, 96)))


@pytest.mark.parametrize("dim", (-1, 2, 0, 1, -2))
def test_softmax(x, dim):
    close(ours.softmax(x, dim), torch.softmax(x, dim))
    close(ours.log_softmax(x, dim), torch.log_softmax(x, dim))
    close(ours.softmax(x, dim, torch.float32), torch.softmax(x, dim, dtype=torch.float32))
    close(ours.softmax(x, dim, dtype=torch.bfloat16), torch.softmax(x, dim, dtype=torch.bfloat16))


@pytest.mark.parametrize("dim", (None, -1, 2, 0, 1, (0, 2), (0, 1, 2), [1, 2], ()))
@pytest.mark.parametrize("keepdim", (False, True))
def test_mean_and_sum(x, dim, keepdim):
    close(ours.mean(x, dim, keepdim), torch.mean(x, dim, keepdim))
    close(ours.sum(x, dim, keepdim, dtype=torch.float32), torch.sum(x, dim, keepdim, dtype=torch.float32))
    close(ours.sum(x, dim, keepdim, dtype=torch.float64), torch.sum(x, dim, keepdim, dtype=torch.float64))


def test_results_that_the_caller_made(x):
    weight, bias = torch.randn(2, 96, device=x.device, dtype=x.dtype)
    for function, arguments in (
        (ours.rms_norm, ((96,), weight)),
        (ours.rms_norm, ((7, 96),)),
        (ours.layer_norm, ((96,), weight, bias)),
        (ours.softmax, (-1,)),
        (ours.softmax, (0,)),
        (ours.log_softmax, (-1,)),
        (ours.mean, (-1,)),
        (ours.sum, ((0, 1), True)),
    ):
        expected = function(x, *arguments)
        out = torch.empty_like(expected)
        assert function(x, *arguments, out=out) is out
        assert same_bits(out, expected)
        with pytest.raises(isofold.UsageError):
            function(x, *arguments, out=torch.empty(5, 5, device=x.device, dtype=x.dtype))


def test_strides_change_no_bit(x):
    weight = torch.randn(96, device=x.device, dtype=x.dtype)
    expected = ours.rms_norm(x, (96,), weight)
    padded = torch.zeros(3, 7, 128, device=x.device, dtype=x.dtype)
    padded[..., :96] = x
    columns = x.transpose(0, 2).contiguous().transpose(0, 2)
    permuted = x.transpose(0, 1).contiguous().transpose(0, 1)
    repeated = x[:1].expand(3, 7, 96)
    for same in (padded[..., :96], columns, permuted):
        assert same_bits(ours.rms_norm(same, (96,), weight), expected)
        assert same_bits(ours.softmax(same, -1), ours.softmax(x, -1))
        assert same_bits(ours.sum(same, -1), ours.sum(x, -1))
    assert same_bits(ours.rms_norm(repeated, (96,), weight)[2], expected[0])
    assert same_bits(ours.rms_norm(x, (96,), torch.stack((weight, weight), 1)[:, 0]), expected)


def test_a_row_has_the_same_bits_in_every_batch(device):
    x = torch.randn(512, 1000, device=device, dtype=torch.bfloat16)
    functions = (
        lambda t: ours.rms_norm(t, (1000,)),
        lambda t: ours.layer_norm(t, (1000,)),
        lambda t: ours.softmax(t, -1),
        lambda t: ours.log_softmax(t, -1),
        lambda t: ours.sum(t, -1),
        lambda t: ours.mean(t, -1),
    )
    for function in functions:
        whole = function(x)
        for tokens in (1, 2, 3, 8, 31, 64, 100, 511):
            assert same_bits(function(x[:tokens]), whole[:tokens])


def test_empty_and_zero_dim_tensors(device):
    for shape in ((0, 96), (3, 0, 96)):
        x = torch.empty(shape, device=device)
        assert ours.rms_norm(x, (96,)).shape == shape and ours.softmax(x, -1).shape == shape
        assert ours.sum(x, -1).shape == shape[:-1] and ours.layer_norm(x, (96,)).shape == shape
        ours.fused_add_rms_norm(x, torch.empty_like(x))
    x = torch.empty(4, 0, device=device)
    assert same_bits(ours.sum(x, -1), torch.zeros(4, device=device))
    assert ours.mean(x, -1).isnan().all() and ours.softmax(x, -1).shape == (4, 0)
    scalar = torch.tensor(3.0, device=device)
    assert ours.softmax(scalar, 0) == 1 and ours.softmax(scalar, 0).shape == ()
    assert ours.log_softmax(scalar, -1) == 0 and ours.sum(scalar) == 3 and ours.mean(scalar, 0) == 3
    for function in (
        lambda: ours.rms_norm(scalar, ()),
        lambda: ours.layer_norm(scalar, (1,)),
        lambda: ours.fused_add_rms_norm(scalar, scalar),
    ):
        with pytest.raises(isofold.UsageError):
            function()


def test_what_is_not_taken_is_an_error_that_says_so(device):
    x = torch.randn(4, 96, device=device)
    for call, says in (
        (lambda: ours.softmax(x.long(), -1), "torch.int64; allowed are torch.float32"),
        (lambda: ours.softmax(x.double(), -1), "torch.float64; allowed are torch.float32"),
        (lambda: ours.sum(x.bool(), -1), "torch.bool"),
        (lambda: ours.sum(x.to(torch.complex64), -1), "torch.complex64"),
        (lambda: ours.rms_norm(x, (95,)), r"normalized_shape is \[95\]"),
        (lambda: ours.rms_norm(x, (-1,)), r"normalized_shape is \[-1\]"),
        (lambda: ours.rms_norm(x, (96,), x[0, :5]), r"weight has shape \[5\]"),
        (lambda: ours.layer_norm(x, (96,), x[0], x[0].half()), "they must have the same dtype"),
        (lambda: ours.softmax(x, 2), "dim is 2"),
        (lambda: ours.sum(x, (0, 0)), "named twice"),
        (lambda: ours.fused_add_rms_norm(x, x[:2]), "x has 4 tokens, residual has 2"),
        (lambda: ours.fused_add_rms_norm(x.t(), x.t()), "last axis is not contiguous"),
        (lambda: ours.softmax(x.to_sparse(), -1), "."),
    ):
        with pytest.raises((isofold.UsageError, RuntimeError), match=says):
            call()


def test_meta_tensors_have_shapes_alone():
    x = torch.empty(4, 96, device="meta", dtype=torch.bfloat16)
    assert ours.rms_norm(x, (96,)).is_meta and ours.softmax(x, 0, torch.float32).dtype == torch.float32


def test_a_tensor_on_meta_among_others(device):
    x = torch.randn(4, 96, device=device)
    row, meta, meta_row = x[0], x.to("meta"), x[0].to("meta")
    norm = torch.ops.isofold.rms_norm
    for call in (
        lambda: ours.rms_norm(x, (96,), meta_row),
        lambda: ours.rms_norm(meta, (96,), row),
        lambda: ours.rms_norm(x, (96,), meta_row, out=torch.empty_like(x)),
        lambda: ours.rms_norm(x, (96,), out=torch.empty_like(meta)),
        lambda: ours.layer_norm(x, (96,), row, meta_row),
        lambda: ours.layer_norm(x, (96,), meta_row),
        lambda: ours.fused_add_rms_norm(x, meta),
        lambda: ours.fused_add_rms_norm(x, x.clone(), meta_row),
        lambda: ours.softmax(x, -1, out=torch.empty_like(meta)),
        lambda: ours.sum(x, -1, out=torch.empty(4, device="meta")),
        lambda: torch.ops.isofold.add_rms_norm(x, meta, None, 1e-6),
        lambda: norm.out(x, None, 1e-6, out=torch.empty_like(meta)),
    ):
        with pytest.raises(isofold.UsageError, match="meta"):
            call()


def test_tensors_of_two_devices(cuda):
    x, weight = torch.randn(4, 96, device=cuda), torch.ones(96)
    with pytest.raises(isofold.UsageError, match="weight is on cpu, this operator works on cuda:0"):
        ours.rms_norm(x, (96,), weight)


def test_negated_views_are_taken_as_what_they_mean(device):
    x = torch.randn(4, 8, dtype=torch.complex64, device=device).conj().imag
    assert x.is_neg()
    assert same_bits(ours.sum(x, -1), ours.sum(x.resolve_neg(), -1))


@pytest.mark.gradients
def test_gradients_are_refused(device):
    x = torch.randn(4, 96, device=device, requires_grad=True)
    plain = torch.randn(4, 96, device=device)
    weight = torch.nn.Parameter(torch.ones(96, device=device))
    for call in (
        lambda: ours.rms_norm(x, (96,)),
        lambda: ours.rms_norm(plain, (96,), weight),
        lambda: ours.softmax(x, -1),
        lambda: ours.sum(x, 0),
        lambda: ours.fused_add_rms_norm(plain, torch.zeros_like(plain), weight),
        lambda: torch.ops.isofold.rms_norm(x, None, 1e-6),
    ):
        with pytest.raises(isofold.UsageError, match="forward only"):
            call()
    with torch.no_grad():
        assert ours.rms_norm(plain, (96,), weight).shape == plain.shape
    assert ours.rms_norm(x.detach(), (96,), weight.detach()).shape == x.shape


def test_forward_derivatives_are_refused(device):
    from torch.autograd import forward_ad

    x = torch.randn(4, 96, device=device)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(isofold.UsageError, match="forward only"):
            ours.softmax(dual, -1)
        assert same_bits(ours.softmax(x, -1), ours.softmax(x.clone(), -1))
        with ours.batch_invariant_mode(device):
            tangent = forward_ad.unpack_dual(F.rms_norm(dual, (96,)) + dual.softmax(-1)).tangent
        torch.testing.assert_close(tangent, forward_ad.unpack_dual(F.rms_norm(dual, (96,)) + dual.softmax(-1)).tangent)
    with pytest.raises(isofold.UsageError, match="forward only"):
        torch.func.jvp(lambda x: ours.sum(x, -1), (x,), (x,))


@pytest.mark.parametrize("of", ("meta", "sparse", "without memory", "nested"))
def test_tensors_without_rows_in_memory(device, of):
    x = torch.randn(4, 96, device=device)
    if of == "without memory":
        x.untyped_storage().resize_(0)
    given = {
        "meta": lambda: x.to("meta"),
        "sparse": lambda: x.to_sparse(),
        "nested": lambda: torch.nested.nested_tensor([x, x]),
    }.get(of, lambda: x)()
    with pytest.raises((isofold.UsageError, RuntimeError)):
        isofold.torch.runtime(device).operator("softmax", n=96, dtype="f32")(given)


def test_subclasses_of_tensor(device):
    class Mine(torch.Tensor):
        pass

    x = torch.randn(4, 96, device=device)
    mine = x.as_subclass(Mine)
    assert same_bits(ours.softmax(mine, -1).as_subclass(torch.Tensor), ours.softmax(x, -1))
    assert same_bits(isofold.torch.runtime(device).operator("softmax", n=96, dtype="f32")(mine), ours.softmax(x, -1))


def test_the_generic_operators_take_torch_tensors(device):
    operator = isofold.torch.runtime(device).operator("rms_norm", n=96, dtype="bf16", eps=1e-6)
    x, weight = torch.randn(4, 96, device=device).bfloat16(), torch.ones(96, device=device).bfloat16()
    y = operator(x, weight)
    assert same_bits(y, ours.rms_norm(x, (96,), weight, 1e-6))
    out = torch.empty_like(x)
    operator.launch(x, weight, out)
    assert same_bits(out, y)
    with torch.enable_grad(), pytest.raises(isofold.UsageError, match="x requires a gradient"):
        operator(x.requires_grad_(), weight)
    with pytest.raises(isofold.UsageError, match="x is a negated view"):
        operator(torch._neg_view(x), weight)


def test_usual_calls_skip_the_dispatcher(device, monkeypatch):
    from isofold.torch import _functions

    x, residual = torch.randn(2, 3, 7, 96, device=device).bfloat16()
    weight, bias = torch.nn.Parameter(torch.randn(2, 96, device=device).bfloat16())
    out, narrow = torch.empty_like(x), torch.empty(3, 7, device=device, dtype=x.dtype)
    wide = torch.randn(96, device=device)
    strided = torch.zeros(5, 128, device=device)[:, :96]
    monkeypatch.setattr(_functions, "_ops", None)
    for call in (
        lambda: ours.rms_norm(x, (96,), weight),
        lambda: ours.rms_norm(x, (96,), wide, 1e-5, weight_mode="after_cast", out=out),
        lambda: ours.rms_norm(strided, (96,)),
        lambda: ours.fused_add_rms_norm(x, residual, weight),
        lambda: ours.layer_norm(x, (96,), weight, bias, out=out),
        lambda: ours.softmax(x, -1),
        lambda: ours.log_softmax(x, 2, out=out),
        lambda: ours.mean(x, -1, out=narrow),
        lambda: ours.sum(x, 2, True),
        lambda: ours.sum(x[:0], -1),
    ):
        call()
    with pytest.raises(AttributeError):
        ours.softmax(x, 0)  # this one is copied first


def test_nothing_of_a_tensor_is_remembered(device):
    x, other = torch.randn(2, 6, 96, device=device)
    weight, out = torch.randn(96, device=device), torch.empty_like(x)

    def check():
        for call in (
            lambda t: ours.rms_norm(t, t.shape[-1:], weight[: t.shape[-1]]),
            lambda t: ours.softmax(t, -1),
            lambda t: ours.sum(t, -1),
        ):
            assert same_bits(call(x), call(x.resolve_neg().clone(memory_format=torch.contiguous_format)))
        expected = ours.log_softmax(x.resolve_neg().clone(memory_format=torch.contiguous_format), -1)
        assert ours.log_softmax(x, -1, out=out.resize_(0).resize_(x.shape)) is out and same_bits(out, expected)

    check()
    x.copy_(other)
    check()
    x.data = other[:3]  # shorter
    check()
    x.data = other.clone().t().contiguous().t()  # other strides
    check()
    x.resize_(12, 48)
    check()
    x.data = torch.zeros(6, 128, device=device)[:, :96].copy_(other)
    check()
    x.t_()
    check()
    complex_numbers = torch.randn(6, 96, dtype=torch.complex64, device=device)
    x.data = complex_numbers.imag.contiguous()
    check()
    x.data = torch._neg_view(x.data)  # the same memory, of the opposite sign
    assert x.is_neg()
    check()
    x.data = other.half()
    out.data, weight.data = out.half(), weight.half()
    check()
    wide = torch.empty(6, 96, device=device)
    assert same_bits(ours.softmax(x, -1, out=wide), ours.softmax(x, -1, torch.float32))
    check()
    x.untyped_storage().resize_(0)
    with pytest.raises((isofold.UsageError, RuntimeError)):
        ours.softmax(x, -1)


@pytest.mark.gradients
def test_a_gradient_that_is_asked_for_later_is_refused(device):
    x, weight = torch.randn(4, 96, device=device), torch.ones(96, device=device)
    for tensor in (x, weight):
        ours.rms_norm(x, (96,), weight)
        tensor.requires_grad_()
        with pytest.raises(isofold.UsageError, match="forward only"):
            ours.rms_norm(x, (96,), weight)
        with torch.no_grad():
            ours.rms_norm(x, (96,), weight)
        with torch.inference_mode():
            assert ours.rms_norm(x, (96,), weight).is_inference()
        tensor.requires_grad_(False)


def test_results_of_any_number_of_dimensions(device):
    for shape in ((96,), (2, 96), (1, 2, 1, 2, 1, 2, 1, 2, 96), (1, 2, 1, 2, 1, 2, 1, 2, 1, 96)):
        x = torch.randn(shape, device=device)
        assert ours.sum(x, -1).shape == shape[:-1] and ours.softmax(x, -1).shape == shape
        assert same_bits(ours.sum(x, -1), ours.sum(x.reshape(-1, 96), -1).reshape(shape[:-1]))


def test_prepare_up_to_loads_what_calls_used(device):
    for n in (101, 102, 64):
        x = torch.randn(1, n, device=device, dtype=torch.float16)
        ours.rms_norm(x, (n,))
        ours.sum(x, -1)
    ours.prepare_up_to(32)
    from isofold.torch import _operators

    assert sum(operator.n == 101 for operator in _operators._operators.values()) == 2
    with pytest.raises(isofold.UsageError, match="tokens is 0"):
        ours.prepare_up_to(0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_rows_of_millions_of_elements_have_the_bits_that_they_have_without_a_workspace():
    x = torch.randn(2, (1 << 20) + 8, device="cuda")
    total = ours.runtime("cuda").operator("sum", n=x.shape[1], dtype="f32")
    assert total.workspace_bytes(2) > 0
    expected = torch.empty(2, device="cuda")
    total.launch(x, expected)
    assert torch.equal(ours.sum(x, -1), expected)
    assert torch.equal(torch.ops.isofold.sum(x), expected)
