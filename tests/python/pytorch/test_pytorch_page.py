import pathlib
import sys

import torch

import isofold.torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import pages


def test_the_page_on_pytorch(device, capsys):
    if device == "cpu" and torch.cuda.is_available():
        return  # the page chooses the GPU
    names = pages.run_page("pytorch.md", skip=() if torch.cuda.is_available() else ("gpu",))
    assert "aten::_softmax" in capsys.readouterr().out
    assert names["x"].shape == (100, 4096)


def test_the_page_names_every_function():
    text = (pages.SOURCE / "docs/pytorch.md").read_text()
    for name in isofold.torch.__all__:
        if name not in ("Coverage", "runtime", "is_batch_invariant_mode_enabled"):
            assert f"{name}(" in text, name


def test_times_are_measured(device, capsys, monkeypatch):
    sys.path.insert(0, str(pages.SOURCE / "tools/python"))
    import eager_time

    monkeypatch.setattr(eager_time, "CALLS", 2)
    monkeypatch.setattr(eager_time, "SAMPLES", 3)
    monkeypatch.setattr(sys, "argv", ["eager_time.py", "--device", device, "-n", "64", "--json"])
    eager_time.main()
    import json

    result = json.loads(capsys.readouterr().out)
    assert {row["function"] for row in result["rows"]} >= {"rms_norm", "softmax", "sum"}
