"""Where messages go: a logger, a function, standard error."""

import logging
import shutil
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import isofold

DEVICE = "device cpu: cpu "


@pytest.fixture(autouse=True)
def standard_error_again():
    yield
    isofold.log_to(None)


@pytest.fixture
def broken_table(tmp_path):
    """A table with a line that is none: a warning of every Runtime that reads it."""
    path = tmp_path / "broken.jsonl"
    path.write_text("nonsense\n")
    return str(path)


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append((record.levelno, record.getMessage()))


@pytest.fixture
def logger():
    made = logging.Logger("isofold")
    made.kept = Kept()
    made.addHandler(made.kept)
    return made


def test_a_logger(cpu, logger, broken_table, capfd):
    isofold.log_to(logger)
    isofold.Runtime("cpu", tables=[broken_table])
    levels = [level for level, _ in logger.kept.records]
    assert levels == [logging.INFO, logging.WARNING, logging.DEBUG]
    assert logger.kept.records[0][1].startswith(DEVICE) and "broken.jsonl" in logger.kept.records[1][1]
    assert capfd.readouterr().err == ""


def test_a_logger_takes_what_its_level_lets_pass(cpu, logger):
    isofold.log_to(logging.LoggerAdapter(logger, {}))
    logger.setLevel(logging.INFO)
    isofold.Runtime("cpu")
    assert [level for level, _ in logger.kept.records] == [logging.INFO]


def test_a_function_with_a_level(cpu, broken_table):
    heard = []
    for level, expected in (("off", []), ("warning", ["warning"]), ("info", ["info", "warning"])):
        isofold.log_to(lambda *message: heard.append(message), level)
        isofold.Runtime("cpu", tables=[broken_table])
        assert [name for name, _ in heard] == expected and all(isinstance(text, str) for _, text in heard)
        heard.clear()


def test_standard_error_is_the_default_and_comes_back(cpu, broken_table, capfd):
    heard = []
    isofold.log_to(lambda *message: heard.append(message))
    isofold.log_to(None)
    isofold.Runtime("cpu", tables=[broken_table])
    error = capfd.readouterr().err
    assert error.startswith("isofold: warning: ") and error.count("\n") == 1 and not heard


def test_a_target_is_let_go(cpu):
    class Target:
        def __call__(self, level, text):
            pass

        def __del__(self):
            gone.append(1)

    gone = []
    isofold.log_to(Target())
    isofold.Runtime("cpu")
    isofold.log_to(print)
    assert gone


def test_what_a_target_raises_stays_out_of_the_call(cpu, monkeypatch):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)

    def target(level, text):
        raise KeyError(level)

    isofold.log_to(target)
    total = isofold.Runtime("cpu").operator("sum", n=4, dtype="f32")
    assert total(np.ones((1, 4), np.float32)).tolist() == [4]
    assert [(one.exc_type, one.object) for one in raised] == [(KeyError, target)] * 2


def test_messages_come_before_the_error_of_a_call_that_fails(cpu, tmp_path):
    heard = []
    isofold.log_to(lambda *message: heard.append(message))
    with pytest.raises(isofold.UsageError, match="nothing.jsonl"):
        isofold.Runtime("cpu", tables=[str(tmp_path / "nothing.jsonl")])
    assert heard[0][1].startswith(DEVICE)


def test_a_target_may_use_isofold(cpu):
    heard = []

    def target(level, text):
        heard.append(text)
        if len(heard) == 1:
            isofold.Runtime("cpu")
            isofold.log_to(target, "info")

    isofold.log_to(target)
    isofold.Runtime("cpu")
    assert len(heard) == 4 and heard[0] == heard[1]


def test_threads_give_messages(cpu):
    heard = []
    isofold.log_to(lambda level, text: heard.append(text))

    def work():
        for _ in range(20):
            isofold.Runtime("cpu")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 8 * 20 * 2


def test_messages_of_a_thread_of_isofold_s_own(cpu, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    runtime = isofold.Runtime("cpu", record=folder / "record")
    shutil.rmtree(folder)
    heard = []
    isofold.log_to(lambda level, text: heard.append((level, text, threading.current_thread())), "warning")
    total = runtime.operator("sum", n=4, dtype="f32")
    for _ in range(600):  # about once a second it would be written
        total(np.ones((1, 4), np.float32))
        if heard:
            break
        time.sleep(0.05)
    assert len(heard) == 1, heard
    level, text, thread = heard[0]
    assert level == "warning" and text.startswith("launches are not recorded") and thread is threading.main_thread()


def test_targets_and_levels_that_do_not_exist(cpu):
    for thing in (3, "isofold", object()):
        with pytest.raises(TypeError, match="it must be a logging.Logger, a function of a level and a text, or None"):
            isofold.log_to(thing)
    with pytest.raises(isofold.UsageError, match='level is "loud"; allowed are off, error, warning, info, debug'):
        isofold.log_to(print, "loud")
    with pytest.raises(isofold.UsageError, match="ISOFOLD_LOG"):
        isofold.log_to(None, "info")


PRELUDE = """
import atexit, os, sys, threading
import isofold
heard = []
def target(level, text): heard.append(text)
isofold.log_to(target)
"""


def run(program):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done


def test_standard_error_may_be_closed(cpu, broken_table):
    done = run(f"""
        isofold.log_to(None)
        os.close(2)
        isofold.Runtime("cpu", tables=[{broken_table!r}])
        print("there")
        """)
    assert done.stdout == "there\n"


def test_the_interpreter_ends_with_a_target(cpu):
    done = run("""
        import builtins
        builtins.kept = isofold.Runtime("cpu")
        class Late:
            def __del__(self): isofold.Runtime("cpu")
        builtins.late = Late()
        assert len(heard) == 2
        """)
    assert done.stderr == ""


def test_the_interpreter_ends_under_threads_that_give_messages(cpu):
    for _ in range(5):
        done = run("""
            def slow(level, text): print(".", end="", flush=True)
            isofold.log_to(slow)
            def work():
                while True: isofold.Runtime("cpu")
            for _ in range(4): threading.Thread(target=work, daemon=True).start()
            isofold.Runtime("cpu")
            """)
        assert done.stderr == "" and set(done.stdout) == {"."}


def test_a_forked_child_has_the_target_and_may_change_it(cpu):
    run("""
        def work():
            while not stop: isofold.Runtime("cpu")
        stop = []
        thread = threading.Thread(target=work)
        thread.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                isofold.log_to(print, "info")
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        stop.append(1)
        thread.join()
        child = os.fork()
        if child == 0:
            heard.clear()
            isofold.Runtime("cpu")
            os._exit(0 if len(heard) == 2 else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """)


def test_a_target_that_waits_does_not_keep_the_interpreter_from_ending(cpu):
    done = run("""
        began, never = threading.Event(), threading.Event()
        def waits(level, text):
            if threading.current_thread() is threading.main_thread(): return
            began.set()
            never.wait()
        isofold.log_to(waits)
        def work():
            while True: isofold.Runtime("cpu")
        threading.Thread(target=work, daemon=True).start()
        assert began.wait(60)
        """)
    assert done.stderr == ""


def test_a_target_that_goes_on_while_the_interpreter_ends(cpu):
    """CPython has threads end that want its lock then; before 3.14 by unwinding their frames, those of C++ too."""
    done = run("""
        import builtins, time
        began = threading.Event()
        class Slow:
            def __del__(self, sleep=time.sleep): sleep(1)
        builtins.slow = Slow()  # goes late
        def target(level, text):
            if threading.current_thread() is threading.main_thread(): return
            began.set()
            time.sleep(0.5)
        isofold.log_to(target)
        def work():
            while True: isofold.Runtime("cpu")
        threading.Thread(target=work, daemon=True).start()
        assert began.wait(60)
        """)
    assert done.stderr == ""


def test_a_target_may_fork(cpu):
    run("""
        children = []
        def target(level, text):
            heard.append(text)
            if len(heard) == 1: children.append(os.fork())
        isofold.log_to(target)
        def work():
            while True: isofold.Runtime("cpu")
        isofold.Runtime("cpu")
        assert len(heard) == 2
        if children[0] == 0:  # a process like any other: it ends under threads that are in a call
            isofold.log_to(lambda level, text: None)
            for _ in range(4): threading.Thread(target=work, daemon=True).start()
            isofold.Runtime("cpu")
        else:
            assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
        """)


def test_a_target_that_sets_another_one_while_it_goes(cpu):
    class Target:
        def __call__(self, level, text):
            pass

        def __del__(self):
            isofold.log_to(lambda *message: heard.append(message), "info")

    heard = []
    isofold.log_to(Target())
    isofold.log_to(None)
    isofold.Runtime("cpu")
    assert len(heard) == 1 and heard[0][0] == "info"


def test_once_the_interpreter_ends_log_to_changes_nothing(cpu, broken_table):
    done = run(f"""
        class Target:
            def __call__(self, level, text): pass
            def __del__(self): isofold.log_to(target)
        isofold.log_to(Target())  # goes when the interpreter ends
        class Late:
            def __del__(self): isofold.Runtime("cpu", tables=[{broken_table!r}])
        import builtins
        builtins.late = Late()
        """)
    assert done.stderr.count("isofold: warning: ") == 1 and "broken.jsonl" in done.stderr and done.stderr.count("\n") == 1
    # A handler that was registered before isofold was imported runs after its own.
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import atexit
                def late():
                    isofold.log_to(lambda *message: print("heard"))
                    isofold.Runtime("cpu", tables=[{broken_table!r}])
                atexit.register(late)
                import isofold
                """),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "") and done.stderr.count("isofold: warning: ") == 1
