"""RMSNorm of a batch and of its rows alone: the same bits.

python3 rms_norm.py
"""

import numpy as np

import isofold

N = 4096

runtime = isofold.Runtime("cpu")  # "cuda:0" for a GPU, with arrays of PyTorch or CuPy
norm = runtime.operator("rms_norm", n=N, dtype="f32", eps=1e-5)

generator = np.random.default_rng(0)
x = generator.standard_normal((512, N), dtype=np.float32)
weight = generator.standard_normal(N, dtype=np.float32)

batch = norm(x, weight)
for tokens in (1, 7, 100):
    assert norm(x[:tokens], weight).tobytes() == batch[:tokens].tobytes()

print(
    f"Isofold {isofold.__version__}: {norm.choice(1).schedule} for one row, {norm.choice(512).schedule} for 512, the same bits ({norm.bits_id})"
)
