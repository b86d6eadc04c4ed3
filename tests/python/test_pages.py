import pages

import isofold


def test_the_page_on_python(cpu, capsys):
    names = pages.run_page("python.md")
    shown = capsys.readouterr().out
    assert "[x: f32[row], residual: f32[row], weight: f32[column]] [y: f32[row], residual_out: f32[row]]" in shown
    assert names["norm"].bits_id in shown


def test_the_example(cpu, capsys):
    names = {"__name__": "__main__"}
    exec(compile((pages.SOURCE / "docs/examples/rms_norm.py").read_text(), "rms_norm.py", "exec"), names)
    assert isofold.__version__ in capsys.readouterr().out


def test_pages_name_what_exists():
    text = (pages.SOURCE / "docs/python.md").read_text()
    for name in ("Runtime", "Error", "UsageError", "InternalError", "named_operators", "log_to"):
        assert f"isofold.{name}" in text or f"`{name}`" in text
        assert hasattr(isofold, name)
