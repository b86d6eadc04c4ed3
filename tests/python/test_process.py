"""Threads, forks and the end of the interpreter, each in a process of its own."""

import subprocess
import sys
import textwrap

PRELUDE = """
import os, sys, threading
import numpy as np
import isofold
runtime = isofold.Runtime("cpu")
softmax = runtime.operator("softmax", n=512, dtype="f32")
x = np.random.default_rng(0).standard_normal((64, 512), dtype=np.float32)
expected = softmax(x).tobytes()
"""


def run(program, *, expect=0):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done


def test_threads_share_an_operator(cpu):
    done = run("""
        other = runtime.operator("rms_norm", n=512, dtype="f32", weight=False)
        wrong = []
        def work():
            for tokens in (64, 1, 3, 40) * 20:
                if softmax(x[:tokens]).tobytes() != expected[: tokens * 512 * 4]: wrong.append(tokens)
                other(x[:tokens])
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert not wrong, wrong
        print("right")
        """)
    assert done.stdout == "right\n"


def test_other_threads_run_while_a_launch_works(cpu):
    # Nobody else gets the interpreter's lock until the launch gives it up.
    run("""
        big = np.zeros((50000, 512), np.float32)
        out = np.empty_like(big)
        sys.setswitchinterval(1000)
        for attempt in range(20):
            go, seen = threading.Event(), []
            thread = threading.Thread(target=lambda: (go.wait(), seen.append(1)))
            thread.start()
            go.set()
            softmax.launch(big, out)
            ran = bool(seen)
            thread.join()
            if ran: break
        assert ran
        """)


def test_a_forked_child_computes_the_same(cpu):
    done = run("""
        softmax(x)  # the pool of threads, which a child does not have, was used
        for attempt in range(3):
            child = os.fork()
            if child == 0:
                fresh = isofold.Runtime("cpu").operator("softmax", n=512, dtype="f32")
                same = softmax(x).tobytes() == expected and fresh(x).tobytes() == expected
                sys.exit(0 if same else 3)  # through the interpreter's whole end
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert softmax(x).tobytes() == expected
        """)
    assert done.stderr == ""


def test_multiprocessing_fork(cpu):
    run("""
        import multiprocessing
        def work(seed):
            return softmax(x).tobytes() == expected
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert all(pool.map(work, range(8)))
        """)


def test_the_interpreter_ends_with_live_handles(cpu):
    done = run("""
        import builtins
        builtins.kept = [runtime, softmax]  # outlives every module
        class Late:
            def __del__(self):
                self.operator.launch(self.x, self.y)
                assert self.y.tobytes() == self.expected
                print("late launch")
        late = Late()
        late.operator, late.x, late.y, late.expected = softmax, x, np.empty_like(x), expected
        cycle = [softmax]
        cycle.append(cycle)
        """)
    assert done.stderr == "" and done.stdout == "late launch\n"


def test_launches_in_atexit_handlers_still_work(cpu):
    done = run("""
        import atexit
        atexit.register(lambda: print(softmax(x).tobytes() == expected))
        threading.Thread(target=lambda: [softmax(x) for _ in range(50)]).start()
        """)
    assert done.stdout == "True\n" and done.stderr == ""


def test_the_interpreter_ends_under_daemon_threads_that_launch(cpu):
    for _ in range(5):
        done = run("""
            def work():
                while True: softmax(x)
            for _ in range(4): threading.Thread(target=work, daemon=True).start()
            softmax(x)
            """)
        assert done.stderr == ""


def test_it_imports_without_other_packages():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
            import sys
            class Nothing:
                def find_spec(self, name, path=None, target=None):
                    if name.partition(".")[0] in ("numpy", "torch", "cupy", "ml_dtypes"): raise ImportError(name)
            sys.meta_path.insert(0, Nothing())
            import isofold
            print(len(isofold.named_operators()) > 10, isofold.spec("sum", 4, "f32").startswith("row_sum N=4"))
            try: import isofold.torch
            except ImportError as error: print(error)
            """),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "True True\nisofold.torch needs PyTorch 2.10 or later, which is not installed\n", done.stderr
