"""The snippets of docs/integrations.md against stand-ins for the engines' registration calls, which check what the engines check."""

import inspect
import pathlib
import sys
import types

import pytest
import torch

import isofold.torch as ours
from same import close, same_bits

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import pages


class IrOp:
    """As vllm.ir.op.IrOp: providers have the native implementation's schema, and are asked in an order."""

    def __init__(self, native, allow_inplace=False):
        self.native, self.allow_inplace, self.impls = native, allow_inplace, {"native": (native, None, False)}
        self.schema = torch.library.infer_schema(native, mutates_args=[])

    def register_impl(self, provider, *, supported=True, supports_args=None, inplace=False):
        assert provider not in ("native", "unfused") and provider not in self.impls
        assert not inplace or self.allow_inplace
        if supports_args is not None:
            parameters = inspect.signature(supports_args).parameters
            assert len(parameters) == len(inspect.signature(self.native).parameters)
            assert not any(one.kind == inspect.Parameter.KEYWORD_ONLY for one in parameters.values())

        def register(function):
            assert torch.library.infer_schema(function, mutates_args=[]) == self.schema
            self.impls[provider] = (function, supports_args, inplace)
            return function

        return register

    def __call__(self, priority, *arguments):
        bound = inspect.signature(self.native).bind(*arguments)
        bound.apply_defaults()
        for provider in (*priority, "native"):
            function, supports_args, inplace = self.impls[provider]
            if supports_args is None or supports_args(*bound.args):
                copies = [one.clone() if inplace and name.startswith("x") else one for name, one in bound.arguments.items()]
                return provider, function(*copies)


def native_rms_norm(
    x: torch.Tensor, weight: torch.Tensor | None, epsilon: float, variance_size: int | None = None
) -> torch.Tensor:
    wide = x.to(torch.float32)
    part = wide if variance_size is None else wide[..., :variance_size]
    wide = wide * torch.rsqrt(part.square().mean(-1, keepdim=True) + epsilon)
    return (wide if weight is None else wide.to(weight.dtype) * weight).to(x.dtype)


def native_fused_add_rms_norm(
    x: torch.Tensor, x_residual: torch.Tensor, weight: torch.Tensor | None, epsilon: float, variance_size: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    total = x.to(torch.float32) + x_residual.to(torch.float32)
    y = native_rms_norm(total, None, epsilon, variance_size)
    return (y if weight is None else y.to(weight.dtype) * weight).to(x.dtype), total.to(x.dtype)


@pytest.fixture
def modules(monkeypatch):
    """Makes modules of these names and puts them where import finds them."""

    def make(**contents):
        made = {}
        for path, names in contents.items():
            name = path.replace("__", ".")
            made[name] = types.ModuleType(name)
            vars(made[name]).update(names)
            made[name].__path__ = []
            monkeypatch.setitem(sys.modules, name, made[name])
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(made[parent], child, made[name])
        return made

    return make


def snippets(engine):
    every = {info for _, info, _ in pages.blocks("integrations.md")}
    return pages.run_page("integrations.md", skip=every - {engine})


def test_the_vllm_provider(device, modules):
    rms_norm, fused = IrOp(native_rms_norm), IrOp(native_fused_add_rms_norm, allow_inplace=True)
    ops = types.SimpleNamespace(rms_norm=rms_norm, fused_add_rms_norm=fused)
    modules(vllm={}, vllm__ir={"ops": ops})
    names = snippets("vllm")
    names["register"]()
    names["register"]()  # plugins may be loaded twice

    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        x, residual = torch.randn(2, 9, 96, device=device).to(dtype)
        for weight in (torch.randn(96, device=device).to(dtype), torch.randn(96, device=device), None):
            provider, y = rms_norm(["isofold"], x, weight, 1e-6)
            assert provider == "isofold"
            close(y, native_rms_norm(x, weight, 1e-6))
            provider, results = fused(["isofold"], x, residual, weight, 1e-6)
            assert provider == "isofold"
            for got, expected in zip(results, native_fused_add_rms_norm(x, residual, weight, 1e-6)):
                close(got, expected)
            assert all(
                same_bits(got[:1], alone) for got, alone in zip(results, fused(["isofold"], x[:1], residual[:1], weight, 1e-6)[1])
            )
    assert rms_norm(["isofold"], x, None, 1e-6, 48)[0] == "native"
    assert rms_norm(["isofold"], x.double(), None, 1e-6)[0] == "native"
    assert fused(["isofold"], x, residual.half(), None, 1e-6)[0] == "native"


def test_vllm_s_lowering_traces_the_provider(device, modules):
    from torch.fx.experimental.proxy_tensor import make_fx

    rms_norm = IrOp(native_rms_norm)
    modules(
        vllm={},
        vllm__ir={"ops": types.SimpleNamespace(rms_norm=rms_norm, fused_add_rms_norm=IrOp(native_fused_add_rms_norm, True))},
    )
    snippets("vllm")["register"]()
    x, weight = torch.randn(9, 96, device=device), torch.randn(96, device=device)
    graph = make_fx(rms_norm.impls["isofold"][0], tracing_mode="fake")(x, weight, 1e-6, None)
    assert [node.target for node in graph.graph.nodes if node.op == "call_function"] == [torch.ops.isofold.rms_norm.default]


def enable_on(device, monkeypatch):
    """The mode for `device`, where the snippets, which are for GPUs, ask for "cuda"."""
    real = ours.enable_batch_invariant_mode
    monkeypatch.setattr(ours, "enable_batch_invariant_mode", lambda devices, operators: real(device, operators))


def test_vllm_s_batch_invariant_kernels_are_replaced(device, modules, monkeypatch):
    enable_on(device, monkeypatch)
    modules(
        vllm={},
        vllm__model_executor={},
        vllm__model_executor__layers={},
        vllm__model_executor__layers__batch_invariant={},
        vllm__model_executor__layers__layernorm={},
    )
    snippets("vllm")["register_batch_invariant"]()
    replaced = sys.modules["vllm.model_executor.layers.batch_invariant"]
    layer = sys.modules["vllm.model_executor.layers.layernorm"]
    x, weight = torch.randn(9, 96, device=device).bfloat16(), torch.randn(96, device=device).bfloat16()
    # As vLLM registers and calls them.
    library = torch.library.Library("aten", "IMPL")
    try:
        library.impl("aten::_log_softmax", replaced._log_softmax_batch_invariant, device.upper())
        library.impl("aten::mean.dim", replaced.mean_batch_invariant, device.upper())
        assert same_bits(x.log_softmax(-1), ours.log_softmax(x, -1)) and same_bits(x.mean((0, 1)), ours.mean(x, (0, 1)))
        assert same_bits(x.sum(-1), ours.sum(x, -1))
    finally:
        library._destroy()
    assert same_bits(layer.rms_norm_batch_invariant(x, weight, eps=1e-5), ours.rms_norm(x, (96,), weight, 1e-5))
    assert same_bits(
        layer.rms_norm_batch_invariant(x.view(3, 3, 96), weight), ours.rms_norm(x.view(3, 3, 96), (96,), weight, 1e-6)
    )


def test_the_sglang_override(device, modules, monkeypatch):
    enable_on(device, monkeypatch)
    enabled = [True]

    class RMSNorm:
        variance_epsilon, variance_size_override = 1e-6, None

        def __init__(self, weight):
            self.weight = torch.nn.Parameter(weight)

        def forward_cuda(self, x, residual=None, post_residual_addition=None):
            if residual is None:
                return sys.modules["sglang.srt.layers.layernorm"].rms_norm_batch_invariant(
                    x, self.weight.data, self.variance_epsilon
                )
            return "native"

    modules(
        sglang={},
        sglang__srt={},
        sglang__srt__batch_invariant_ops={"is_batch_invariant_mode_enabled": lambda: enabled[0]},
        sglang__srt__layers={},
        sglang__srt__layers__layernorm={"RMSNorm": RMSNorm, "rms_norm_batch_invariant": None},
    )
    snippets("sglang")["use_isofold"]()
    layer = RMSNorm(torch.randn(96, device=device).bfloat16())
    x, residual = torch.randn(2, 9, 96, device=device).bfloat16()
    assert same_bits(layer.forward_cuda(x), ours.rms_norm(x, (96,), layer.weight, 1e-6))
    expected = ours.rms_norm(x.float() + residual.float(), (96,), layer.weight.float(), 1e-6).bfloat16()
    total = x + residual
    y, kept = layer.forward_cuda(x.clone(), residual.clone())
    assert same_bits(y, expected) and same_bits(kept, total)
    assert layer.forward_cuda(x, residual, x) == "native"
    enabled[0] = False
    assert layer.forward_cuda(x, residual) == "native"
    assert same_bits(x.softmax(-1), ours.softmax(x, -1))
