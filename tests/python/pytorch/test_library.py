import pytest
import torch

import isofold.torch as ours
from same import same_bits

OPS = torch.ops.isofold


def samples(device, dtype=torch.float32):
    x, residual = torch.randn(2, 5, 64, device=device, dtype=dtype)
    weight, bias = torch.randn(2, 64, device=device, dtype=dtype)
    strided = torch.randn(5, 80, device=device, dtype=dtype)[:, :64]
    return [
        (OPS.rms_norm.default, (x, weight, 1e-6), {}),
        (OPS.rms_norm.default, (strided, None, 1e-6, "f32", False), {}),
        (OPS.rms_norm.default, (x, weight, 1e-6), {"weight_mode": "after_cast", "weight_offset_one": True}),
        (OPS.rms_norm.out, (x, weight, 1e-6), {"out": torch.empty_like(x)}),
        (OPS.add_rms_norm.default, (x, residual, weight, 1e-6), {"residual_mode": "rounded_sum"}),
        (OPS.fused_add_rms_norm.default, (x, residual, weight, 1e-6), {}),
        (OPS.layer_norm.default, (x, weight, bias, 1e-5), {}),
        (OPS.layer_norm.out, (x, None, None, 1e-5), {"out": torch.empty_like(x)}),
        (OPS.softmax.default, (x,), {}),
        (OPS.softmax.default, (x.t().contiguous().t(),), {"dtype": torch.float32}),
        (OPS.softmax.out, (x,), {"out": torch.empty_like(x)}),
        (OPS.log_softmax.default, (x,), {}),
        (OPS.mean.default, (x,), {"dtype": torch.float32}),
        (OPS.sum.default, (x,), {}),
        (OPS.sum.out, (x,), {"out": torch.empty(5, device=device, dtype=dtype)}),
    ]


@pytest.mark.gradients
def test_opcheck(device):
    for operator, arguments, named in samples(device):
        torch.library.opcheck(operator, arguments, named)
    for operator, arguments, named in samples(device, torch.bfloat16)[::4]:
        torch.library.opcheck(operator, arguments, named)


def block(x, residual, weight, bias):
    y = ours.rms_norm(x, (64,), weight, 1e-6)
    y = ours.layer_norm(y, (64,), weight, bias) + ours.softmax(x, -1) + ours.log_softmax(x, 0)
    z = y.clone()
    kept = residual.clone()
    ours.fused_add_rms_norm(z, kept, weight)
    return z, kept, ours.mean(y, (0, 1)), ours.sum(y, -1, keepdim=True), ours.sum(y)


@pytest.mark.parametrize("backend", ("aot_eager", "inductor"))
@pytest.mark.parametrize("dynamic", (False, True))
def test_compile_without_graph_breaks(device, backend, dynamic):
    weight, bias = torch.randn(2, 64, device=device)
    compiled = torch.compile(block, fullgraph=True, backend=backend, dynamic=dynamic)
    for tokens in (5, 9):
        x, residual = (torch.randn(tokens, 64, device=device) for _ in range(2))  # not views: docs/pytorch.md
        for got, expected in zip(compiled(x, residual, weight, bias), block(x, residual, weight, bias)):
            assert same_bits(got, expected)


def test_the_direct_call_gives_way_to_who_watches(device):
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch._subclasses.fake_tensor import FakeTensorMode

    x, weight = torch.randn(4, 64, device=device), torch.ones(64, device=device)
    graph = make_fx(lambda x, weight: ours.rms_norm(x, (64,), weight, 1e-6))(x, weight)
    assert any(node.target == OPS.rms_norm.default for node in graph.graph.nodes)
    assert same_bits(graph(x, weight), ours.rms_norm(x, (64,), weight, 1e-6))
    with FakeTensorMode() as mode:
        fake = ours.softmax(mode.from_tensor(x), -1)
        assert type(fake).__name__ == "FakeTensor" and fake.shape == x.shape
    exported = torch.export.export(Norm(), (x,))
    assert same_bits(exported.module()(x), ours.rms_norm(x, (64,), None, 1e-6))


def test_who_watches_is_asked_at_every_call(device, monkeypatch):
    from torch.utils._python_dispatch import TorchDispatchMode

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            operators.append(function)
            return function(*args, **(kwargs or {}))

    x, operators = torch.randn(4, 64, device=device), []
    expected = ours.softmax(x, -1)
    with Seen():
        assert same_bits(ours.softmax(x, -1), expected)
    assert operators[0] == OPS.softmax.default
    traced = torch.jit.trace(lambda x: ours.softmax(x, -1), x, check_trace=False)
    assert "isofold::softmax" in str(traced.graph)
    assert same_bits(torch.func.vmap(lambda row: ours.softmax(row, -1))(x), expected)
    with monkeypatch.context() as patched:
        patched.setattr(ours._functions, "_ops", None)
        assert same_bits(ours.softmax(x, -1), expected)  # nobody any more
        with Seen(), pytest.raises(AttributeError):
            ours.softmax(x, -1)
        with pytest.raises(AttributeError):
            torch.func.vmap(lambda row: row + ours.softmax(x, -1))(x)  # x is no part of the transform


class Norm(torch.nn.Module):
    def forward(self, x):
        return ours.rms_norm(x, (64,), None, 1e-6)


def test_cuda_graphs_of_compiled_code(cuda):
    weight, bias = torch.randn(2, 64, device=cuda)
    compiled = torch.compile(block, fullgraph=True, mode="reduce-overhead")
    for tokens in (5, 9):
        x, residual = (torch.randn(tokens, 64, device=cuda) for _ in range(2))
        for _ in range(3):
            torch.compiler.cudagraph_mark_step_begin()
            results = [result.clone() for result in compiled(x, residual, weight, bias)]
        for got, expected in zip(results, block(x, residual, weight, bias)):
            assert same_bits(got, expected)


def test_a_captured_graph(cuda):
    x, weight = torch.randn(16, 64, device=cuda), torch.randn(64, device=cuda)
    expected = ours.rms_norm(x, (64,), weight), ours.softmax(x, -1)  # compiles what the capture needs
    graph = torch.cuda.CUDAGraph()
    static = torch.empty_like(x)
    with torch.cuda.graph(graph):
        results = ours.rms_norm(static, (64,), weight), ours.softmax(static, -1)
    static.copy_(x)
    graph.replay()
    for got, want in zip(results, expected):
        assert same_bits(got, want)


def test_a_capture_without_the_kernel_is_an_error_that_names_it(cuda):
    x = torch.randn(16, 1234, device=cuda)
    graph = torch.cuda.CUDAGraph()
    with pytest.raises(Exception, match="not prepared"):
        with torch.cuda.graph(graph):
            ours.rms_norm(x, (1234,))


def test_what_prepare_up_to_loaded_can_be_captured(cuda):
    for n, dtype in ((1001, torch.bfloat16), (1002, torch.float32), (1024, torch.float16)):
        x = torch.randn(200, n, device=cuda).to(dtype)
        ours.softmax(x[:1], -1)
        ours.prepare_up_to(200)
        expected = ours.softmax(x, -1)
        for tokens in (1, 2, 33, 200):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                result = ours.softmax(x[:tokens], -1)
            graph.replay()
            assert same_bits(result, expected[:tokens])


def test_streams(cuda):
    x = torch.randn(64, 64, device=cuda)
    expected = ours.softmax(x, -1)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y = ours.softmax(x, -1)
    operator = ours.runtime(cuda).operator("softmax", n=64, dtype="f32")
    z = torch.empty_like(x)
    operator.launch(x, z, stream=stream)
    operator.launch(x, torch.empty_like(x), stream=stream.cuda_stream)
    stream.synchronize()
    assert same_bits(y, expected) and same_bits(z, expected)
