import threading

import block
import pytest
import torch
import torch.nn.functional as F
from same import close, same_bits

import isofold
import isofold.torch as ours


def calls(x, weight, bias):
    """Each overridden operator in several of its forms."""
    return {
        "softmax": lambda: x.softmax(-1),
        "softmax of the first axis": lambda: x.softmax(0),
        "log_softmax": lambda: x.log_softmax(-1),
        "mean": lambda: x.mean(-1),
        "mean of all": lambda: x.mean(),
        "mean of two axes": lambda: x.mean((0, -1), keepdim=True),
        "sum": lambda: x.sum(-1, dtype=torch.float32),
        "sum of all": lambda: x.sum(),
        "sum of the first axis": lambda: x.sum(0),
        "layer_norm": lambda: F.layer_norm(x, (96,), weight, bias),
        "layer_norm of two axes": lambda: F.layer_norm(x, (7, 96)),
        "native_layer_norm": lambda: torch.native_layer_norm(x, (96,), weight, None, 1e-5)[0],
        "its mean": lambda: torch.native_layer_norm(x, (96,), weight, bias, 1e-5)[1],
        "its rstd": lambda: torch.native_layer_norm(x, (96,), weight, bias, 1e-5)[2],
        "rms_norm": lambda: F.rms_norm(x, (96,), weight),
        "rms_norm of two axes": lambda: F.rms_norm(x, (7, 96), None, 1e-3),
    }


@pytest.fixture(params=(torch.float32, torch.bfloat16, torch.float16), ids=str)
def tensors(request, device):
    return [torch.randn(shape, device=device).to(request.param) for shape in ((5, 7, 96), (96,), (96,))]


def counts(device, of="taken"):
    return {line.operator: getattr(line, of) for line in ours.coverage() if line.device == device}


def test_operators_are_overridden_and_restored(tensors, device):
    functions = calls(*tensors)
    before = {name: function() for name, function in functions.items()}
    taken = counts(device)
    with ours.batch_invariant_mode():
        assert ours.is_batch_invariant_mode_enabled()
        inside = {name: function() for name, function in functions.items()}
    assert not ours.is_batch_invariant_mode_enabled()
    now = counts(device)
    assert all(now[operator] > taken.get(operator, 0) for operator in now) and len(now) == 6
    for name in functions:
        close(inside[name], before[name])
        assert same_bits(functions[name](), before[name]), name
    assert counts(device) == now


def test_what_it_computes_are_the_functions(tensors):
    x, weight, bias = tensors
    with ours.batch_invariant_mode():
        inside = [
            x.softmax(-1),
            x.log_softmax(1),
            x.sum((0, 2)),
            F.rms_norm(x, (96,), weight),
            F.layer_norm(x, (96,), weight, bias),
        ]
    outside = [
        ours.softmax(x, -1),
        ours.log_softmax(x, 1),
        ours.sum(x, (0, 2)),
        ours.rms_norm(x, (96,), weight),
        ours.layer_norm(x, (96,), weight, bias),
    ]
    assert all(same_bits(a, b) for a, b in zip(inside, outside))


def test_the_rest_goes_to_pytorch_and_is_listed(device):
    x = torch.randn(5, 96, device=device)
    mixed = torch.ones(96, device=device, dtype=torch.bfloat16)
    functions = {
        "aten::_softmax": (lambda: x.double().softmax(-1), "torch.float64"),
        "aten::sum.dim_IntList": (lambda: x.long().sum(-1), "torch.int64"),
        "aten::mean.dim": (lambda: x.to(torch.complex64).mean(-1), "torch.complex64"),
        "aten::rms_norm": (lambda: F.rms_norm(x, (96,), mixed), "a weight of another dtype (torch.bfloat16 for torch.float32)"),
        "aten::native_layer_norm": (lambda: F.layer_norm(x.double(), (96,)), "torch.float64"),
    }
    for operator, (function, reason) in functions.items():
        expected = function()
        before = counts(device, "passed").get(operator, {}).get(reason, 0)
        with ours.batch_invariant_mode(device):
            found = function()
        # What PyTorch composes of other operators, as it does rms_norm, is composed of overridden ones.
        assert torch.equal(found, expected) or operator == "aten::rms_norm"
        assert counts(device, "passed")[operator][reason] > before


@pytest.mark.gradients
def test_gradients_are_pytorch_s(device):
    def gradients(of):
        x = torch.linspace(-2, 3, 5 * 96, device=device).reshape(5, 96).requires_grad_()
        weight = torch.linspace(1, 2, 96, device=device).requires_grad_()
        of(x, weight).square().sum().backward()
        return x.grad, weight.grad if weight.grad is not None else x.grad

    for of in (
        lambda x, weight: x.softmax(-1),
        lambda x, weight: x.log_softmax(0),
        lambda x, weight: x.mean(-1) + x.sum(1),
        lambda x, weight: F.layer_norm(x, (96,), weight, weight),
        lambda x, weight: F.rms_norm(x, (96,), weight),
    ):
        expected = gradients(of)
        with ours.batch_invariant_mode():
            found = gradients(of)
        for a, b in zip(found, expected):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_the_mode_nests_and_is_for_all_threads(device):
    x = torch.randn(3, 96, device=device)
    ours.enable_batch_invariant_mode()
    with ours.batch_invariant_mode(device):
        pass
    assert ours.is_batch_invariant_mode_enabled()
    before = counts(device)["aten::_softmax"]
    thread = threading.Thread(target=lambda: x.softmax(-1))
    thread.start()
    thread.join()
    assert counts(device)["aten::_softmax"] == before + 1
    with pytest.raises(ZeroDivisionError):
        with ours.batch_invariant_mode():
            1 / 0
    ours.disable_batch_invariant_mode()
    assert not ours.is_batch_invariant_mode_enabled()
    ours.disable_batch_invariant_mode()  # harmless


def test_it_says_what_it_cannot_override(device):
    with pytest.raises(isofold.UsageError, match='allowed are "cuda" and "cpu"'):
        ours.enable_batch_invariant_mode("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(isofold.UsageError, match="cuda: PyTorch finds no GPU"):
            ours.enable_batch_invariant_mode(("cpu", "cuda"))
    assert not ours.is_batch_invariant_mode_enabled()
    library = torch.library.Library("aten", "IMPL")
    library.impl("_log_softmax", lambda x, dim, wide: x, device.upper())
    try:  # somebody else's override stays as it is
        with pytest.raises(RuntimeError, match="already a kernel registered from python"):
            ours.enable_batch_invariant_mode(device)
        assert not ours.is_batch_invariant_mode_enabled()
    finally:
        library._destroy()
    with ours.batch_invariant_mode(device):
        pass


def test_some_operators_alone(device):
    x = torch.randn(5, 96, device=device)
    before = counts(device)
    with ours.batch_invariant_mode(device, ("aten::_softmax", "sum.dim_IntList")):
        x.softmax(-1), x.sum(0), x.log_softmax(-1)
        with pytest.raises(isofold.UsageError, match="fewer devices or operators"):
            ours.enable_batch_invariant_mode(device)
    now = counts(device)
    assert now["aten::_softmax"] == before.get("aten::_softmax", 0) + 1
    assert now.get("aten::_log_softmax") == before.get("aten::_log_softmax")
    with pytest.raises(isofold.UsageError, match='operators has "mm"; allowed are _softmax, _log_softmax'):
        ours.enable_batch_invariant_mode(device, ("mm",))


def test_modes_and_subclasses_of_pytorch_go_on_working(device):
    from torch._subclasses.fake_tensor import FakeTensorMode

    x = torch.randn(3, 96, device=device)
    with ours.batch_invariant_mode():
        assert same_bits(torch.vmap(lambda row: row.softmax(-1))(x), ours.softmax(x, -1))
        with torch.inference_mode():
            assert same_bits(F.rms_norm(x, (96,), None, 1e-6), ours.rms_norm(x, (96,), None, 1e-6))
        with FakeTensorMode() as mode:
            fake = mode.from_tensor(x)
            assert F.rms_norm(fake, (96,)).shape == x.shape and fake.softmax(0).shape == x.shape
        compiled = torch.compile(lambda x: F.rms_norm(x, (96,)).softmax(-1), backend="aot_eager", fullgraph=True)
        assert compiled(x).shape == x.shape
        with torch.autocast(device, dtype=torch.bfloat16):
            assert x.softmax(-1).dtype == torch.float32


@pytest.fixture(params=(torch.bfloat16, torch.float32), ids=str)
def dtype(request):
    return request.param


def test_the_block_shows_a_mean_whose_order_of_additions_depends_on_the_batch(dtype, monkeypatch):
    def mean(x, axis, keepdim):
        columns = x.shape[-1] // (2 if x.shape[0] < 16 else 4)
        return sum(part.sum(axis, keepdim=keepdim) for part in x.split(columns, -1)) / x.shape[-1]

    model, x = block.Block(dtype=dtype), block.inputs(dtype=dtype)
    monkeypatch.setattr(torch.Tensor, "mean", mean)
    different = block.differing_sizes(model, x)
    assert different and all(size < 16 for size in different)


def test_a_transformer_block_gives_equal_rows_in_every_batch(device, dtype):
    model, x = block.Block(dtype=dtype, device=device), block.inputs(dtype=dtype, device=device)
    with ours.batch_invariant_mode(device):
        whole = model(x)
        different = block.differing_sizes(model, x)
        places = [place for place in (1, 100, 511) if not same_bits(model(x[place:]), whole[place:])]
    assert whole.isfinite().all() and not different and not places


def test_the_same_block_in_cuda_graphs(cuda, dtype):
    model, x = block.Block(dtype=dtype, device=cuda), block.inputs(dtype=dtype, device=cuda)
    with ours.batch_invariant_mode(cuda):
        assert not block.differing_sizes(model, x, block.in_a_graph)
