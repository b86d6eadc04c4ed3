"""What takes a GPU, with arrays of any framework that is installed; PyTorch's tests are in pytorch/."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import reference
from device_array import DeviceArray

import isofold


@pytest.fixture(scope="module")
def gpu():
    try:
        return isofold.Runtime("cuda:0")
    except isofold.UsageError as error:
        pytest.skip(f"no GPU: {error}")


def rows(tokens, n):
    return np.random.default_rng(0).standard_normal((tokens, n), dtype=np.float32)


def test_cupy(gpu):
    cupy = pytest.importorskip("cupy")
    x = rows(9, 512)
    softmax = gpu.operator("softmax", n=512, dtype="f32")
    y = softmax(cupy.asarray(x))
    assert isinstance(y, cupy.ndarray)
    expected = cupy.asnumpy(y)
    np.testing.assert_allclose(expected, reference.softmax(x), rtol=1e-5)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        on_device = cupy.asarray(x)
        out = cupy.empty_like(on_device)
        softmax.launch(on_device, out)
    stream.synchronize()
    assert cupy.asnumpy(out).tobytes() == expected.tobytes()
    softmax.launch(on_device, out, stream=stream)
    stream.synchronize()
    with pytest.raises(isofold.UsageError, match="y is on cpu, this operator works on cuda:0"):
        softmax.launch(on_device, x)


def test_jax(gpu, monkeypatch):
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else it takes most of the memory
    jax = pytest.importorskip("jax")
    cupy = pytest.importorskip("cupy")
    if jax.default_backend() != "gpu":
        pytest.skip("JAX has no GPU")
    x = rows(9, 512)
    given = jax.block_until_ready(jax.device_put(x))
    out = cupy.empty((9, 512), cupy.float32)
    gpu.operator("softmax", n=512, dtype="f32").launch(given, out, stream=0)
    cupy.cuda.runtime.deviceSynchronize()
    np.testing.assert_allclose(cupy.asnumpy(out), reference.softmax(x), rtol=1e-5)


def test_the_same_bits_as_on_the_cpu(gpu, cpu):
    x = rows(9, 512)
    for name in ("softmax", "sum", "log_softmax"):
        here = cpu.operator(name, n=512, dtype="f32")(x)
        there = DeviceArray(np.zeros_like(here))
        gpu.operator(name, n=512, dtype="f32").launch(DeviceArray(x), there)
        assert there.host().tobytes() == here.tobytes()


def test_several_inputs_and_outputs(gpu, cpu):
    x, residual, weight = rows(5, 256), rows(5, 256)[::-1], rows(1, 256)[0]
    y, total = np.zeros_like(x), np.zeros_like(x)
    cpu.operator("add_rms_norm", n=256, dtype="f32").launch(x, np.ascontiguousarray(residual), weight, y, total)
    arrays = [DeviceArray(array) for array in (x, residual, weight, np.zeros_like(y), np.zeros_like(total))]
    gpu.operator("add_rms_norm", n=256, dtype="f32").launch(*arrays)
    assert arrays[3].host().tobytes() == y.tobytes()
    assert arrays[4].host().tobytes() == total.tobytes()


def test_an_array_that_is_not_on_the_device(gpu):
    x = rows(2, 64)
    with pytest.raises(isofold.UsageError, match="y is on cpu, this operator works on cuda:0"):
        gpu.operator("softmax", n=64, dtype="f32").launch(DeviceArray(x), x)


def test_a_workspace_for_rows_of_millions_of_elements(gpu):
    total = gpu.operator("sum", n=1 << 20, dtype="f32")
    x = DeviceArray(rows(2, 1 << 20))
    bytes_needed = total.workspace_bytes(2)
    assert bytes_needed > 0
    expected, got = DeviceArray(np.zeros(2, np.float32)), DeviceArray(np.zeros(2, np.float32))
    total.launch(x, expected)
    total.launch(x, got, workspace=DeviceArray(np.zeros(bytes_needed, np.uint8)))
    assert got.host().tobytes() == expected.host().tobytes() != bytes(8)
    with pytest.raises(isofold.UsageError, match="workspace is on cpu"):
        total.launch(x, got, workspace=np.empty(bytes_needed, np.uint8))


PRELUDE = """
import os, sys
import isofold
runtime = isofold.Runtime("cuda:0")
softmax = runtime.operator("softmax", n=512, dtype="f32")
softmax.prepare_up_to(8)
"""


def run(program):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done


def test_a_forked_child_is_told_that_cuda_is_the_parent_s(gpu):
    done = run("""
        child = os.fork()
        if child == 0:
            refused = 0
            for use in (lambda: softmax.prepare([1]), lambda: runtime.operator("sum", n=4, dtype="f32"), lambda: softmax.choice(1),
                        lambda: isofold.Runtime("cuda:0"), lambda: isofold.Runtime()):
                try: use()
                except isofold.UsageError as error: refused += "forked" in str(error)
            try: isofold.Runtime("cpu")
            except isofold.UsageError as error: print(error)  # a build without the CPU backend
            print(refused)
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        softmax.prepare([9])
        """)
    assert done.stdout.endswith("5\n")


def test_the_interpreter_ends_with_live_handles(gpu):
    done = run("""
        import builtins
        builtins.kept = [runtime, softmax]
        cycle = [softmax]
        cycle.append(cycle)
        """)
    assert done.stderr == ""


def test_the_stream_that_an_array_names(gpu):
    cupy = pytest.importorskip("cupy")
    torch = pytest.importorskip("torch")
    torch.cuda.init()  # whose current stream is another one
    x = rows(4096, 512)
    softmax = gpu.operator("softmax", n=512, dtype="f32")
    expected = cupy.asnumpy(softmax(cupy.asarray(x)))
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        for _ in range(20):
            y = softmax(cupy.asarray(x) + 0)
            again = y.copy()  # on CuPy's stream: sees what was launched before it
            y.fill(0)
        stream.synchronize()
    assert cupy.asnumpy(again).tobytes() == expected.tobytes()
