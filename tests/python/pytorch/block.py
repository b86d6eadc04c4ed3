"""A small transformer block of the operators that batch-invariant mode overrides, and plain arithmetic per element.

Matrix products are not Isofold's: here each is done over the same number of rows, whatever the batch, so that PyTorch's own kernel
and its order of additions stay the same."""

import torch
import torch.nn.functional as F

MOST_TOKENS = 512


class Block(torch.nn.Module):
    def __init__(self, width=256, heads=4, context=24, classes=1000, dtype=torch.bfloat16, device="cpu"):
        super().__init__()
        generator = torch.Generator().manual_seed(1)

        def parameter(*shape, scale=1.0):
            return torch.nn.Parameter((torch.randn(*shape, generator=generator) * scale).to(device, dtype), requires_grad=False)

        self.heads, self.size = heads, width // heads
        self.norm1, self.norm2, self.bias2 = parameter(width), parameter(width), parameter(width)
        self.query, self.up = parameter(width, width, scale=0.06), parameter(width, 2 * width, scale=0.06)
        self.down, self.classes = parameter(2 * width, width, scale=0.06), parameter(width, classes, scale=0.1)
        self.keys, self.values = parameter(context, heads, self.size), parameter(context, heads, self.size)
        self.register_buffer("padded", torch.zeros(MOST_TOKENS, 2 * width, device=device, dtype=dtype))

    def product(self, x, matrix):
        padded = self.padded[:, : x.shape[1]].clone()
        padded[: x.shape[0]] = x
        return torch.mm(padded, matrix)[: x.shape[0]]

    def forward(self, x):
        h = F.rms_norm(x, (x.shape[-1],), self.norm1, 1e-6)
        q = self.product(h, self.query).view(-1, 1, self.heads, self.size)
        scores = (q * self.keys).sum(-1) * self.size**-0.5  # [tokens, context, heads]
        weights = torch.softmax(scores, 1)
        attended = (weights.unsqueeze(-1) * self.values).sum(1).flatten(1)
        x = x + attended
        h = F.layer_norm(x, (x.shape[-1],), self.norm2, self.bias2)
        x = x + self.product(F.silu(self.product(h, self.up)), self.down)
        logits = F.log_softmax(self.product(x - x.mean(-1, keepdim=True), self.classes), -1)
        return torch.cat((x, logits), 1)


def inputs(width=256, dtype=torch.bfloat16, device="cpu"):
    return torch.randn(MOST_TOKENS, width, generator=torch.Generator().manual_seed(2)).to(device, dtype)


def main():
    """Prints for how many batch sizes some row has other bits than in the largest batch, without the mode and in it."""
    import isofold.torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, x = Block(device=device), inputs(device=device)
    sizes = range(1, MOST_TOKENS + 1) if device == "cuda" else range(1, MOST_TOKENS + 1, 37)

    def different():
        whole = model(x)
        return sum(not torch.equal(model(x[:size]).view(torch.int16), whole[:size].view(torch.int16)) for size in sizes)

    with torch.inference_mode():
        print(
            f"{device}, PyTorch {torch.__version__}: a transformer block over 1 to {MOST_TOKENS} tokens, {len(sizes)} batch sizes"
        )
        print(f"PyTorch: rows differ from those of the largest batch in {different()} of them")
        with isofold.torch.batch_invariant_mode(device):
            print(f"batch-invariant mode: in {different()} of them")
    for line in isofold.torch.coverage():
        print(f"{line.operator}: {line.taken} calls, passed on {line.passed}")


if __name__ == "__main__":
    main()
