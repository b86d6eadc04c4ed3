"""A small transformer block of the operators that batch-invariant mode overrides, and plain arithmetic per element.

Matrix products are not Isofold's: here each is done over the same number of rows, whatever the batch, so that PyTorch's own kernel
and its order of additions stay the same."""

import torch
import torch.nn.functional as F
from same import same_bits

MOST_TOKENS = 512


class Block(torch.nn.Module):
    def __init__(self, width=256, inner=2048, heads=4, context=24, classes=1000, dtype=torch.bfloat16, device="cpu"):
        super().__init__()
        generator = torch.Generator().manual_seed(1)

        def parameter(*shape, scale=1.0, dtype=dtype):
            return torch.nn.Parameter((torch.randn(*shape, generator=generator) * scale).to(device, dtype), requires_grad=False)

        def matrix(*shape, scale):
            return parameter(*shape, scale=scale, dtype=torch.float32)  # quick on every CPU

        self.heads, self.size = heads, width // heads
        self.norm1, self.norm2, self.bias2 = parameter(width), parameter(width), parameter(width)
        self.query, self.up = matrix(width, width, scale=0.06), matrix(width, inner, scale=0.06)
        self.down, self.classes = matrix(inner, width, scale=0.02), matrix(width, classes, scale=0.1)
        self.keys, self.values = parameter(context, heads, self.size), parameter(context, heads, self.size)
        self.register_buffer("padded", torch.zeros(MOST_TOKENS, inner, device=device))

    def product(self, x, matrix):
        padded = self.padded[:, : x.shape[1]].clone()
        padded[: x.shape[0]] = x
        return torch.mm(padded, matrix)[: x.shape[0]].to(x.dtype)

    def forward(self, x):
        h = F.rms_norm(x, (x.shape[-1],), self.norm1, 1e-6)
        q = self.product(h, self.query).view(-1, 1, self.heads, self.size)
        scores = (q * self.keys).sum(-1) * self.size**-0.5  # [tokens, context, heads]
        weights = torch.softmax(scores, 1)
        attended = (weights.unsqueeze(-1) * self.values).sum(1).flatten(1)
        x = x + attended
        h = F.layer_norm(x, (x.shape[-1],), self.norm2, self.bias2)
        h = F.silu(self.product(h, self.up)).float()
        # A normalisation written by hand: on a GPU PyTorch's mean over so many f32 is another tree in small batches.
        h = (h * (h.square().mean(-1, keepdim=True) + 1e-6).rsqrt()).to(x.dtype)
        x = x + self.product(h, self.down)
        logits = F.log_softmax(self.product(x - x.mean(-1, keepdim=True), self.classes), -1)
        return torch.cat((x, logits), 1)


def inputs(width=256, dtype=torch.bfloat16, device="cpu"):
    return torch.randn(MOST_TOKENS, width, generator=torch.Generator().manual_seed(2)).to(device, dtype)


def sizes_of(device):
    """Batch sizes that are compared with the largest: all on a GPU, and where it may matter on the CPU."""
    return range(1, MOST_TOKENS + 1) if device == "cuda" else (1, 2, 3, 7, 8, 9, 31, 64, 100, 255, 511)


def in_a_graph(model, x):
    """model(x) by replaying a CUDA graph that was captured over other numbers."""
    static = torch.zeros_like(x)
    model(static)  # what it needs is compiled before the capture
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = model(static)
    static.copy_(x)
    graph.replay()
    return result.clone()


def differing_sizes(model, x, run=torch.nn.Module.__call__):
    """The batch sizes for which run(model, rows) gives some row other bits than model gives it in the largest batch."""
    whole = model(x)
    return [size for size in sizes_of(x.device.type) if not same_bits(run(model, x[:size]), whole[:size])]


def main():
    """Prints for how many batch sizes some row has other bits than in the largest batch: PyTorch, in the mode, in CUDA graphs."""
    import isofold.torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(
        f"{device}, PyTorch {torch.__version__}: a transformer block over 1 to {MOST_TOKENS} tokens, "
        f"{len(sizes_of(device))} batch sizes; how many give some row other bits than the largest batch does:"
    )
    for dtype in (torch.bfloat16, torch.float32):
        model, x = Block(dtype=dtype, device=device), inputs(dtype=dtype, device=device)

        def report(name, run=torch.nn.Module.__call__):
            print(f"{str(dtype)[6:]}, {name}: {len(differing_sizes(model, x, run))}")

        with torch.inference_mode():
            report("PyTorch")
            with isofold.torch.batch_invariant_mode(device):
                report("batch-invariant mode")
                if device == "cuda":
                    report("batch-invariant mode in CUDA graphs", in_a_graph)
    for line in isofold.torch.coverage():
        print(f"{line.operator}: {line.taken} calls, passed on {line.passed}")


if __name__ == "__main__":
    main()
