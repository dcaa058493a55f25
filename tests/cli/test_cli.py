"""Starting up, and how errors and Ctrl-C end."""

import subprocess
import sys

import pytest

COMMANDS = ("compress", "run", "predict", "measure", "report", "compare", "list", "show")


def test_help_imports_neither_torch_nor_transformers():
    code = (
        "import sys\nsys.argv = ['leanformer', '--help']\nfrom leanformer.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'openvino', 'plotly'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "compress" in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    code, shown, _ = run(command, "--help")
    assert code == 0
    assert "Usage" in shown


def test_an_unknown_command_is_refused(run):
    code, _, said = run("comprss")
    assert code == 2
    assert "comprss" in said


def test_ctrl_c_says_how_to_go_on(run, monkeypatch):
    def stop(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("leanformer.report.write_report", lambda *_: stop(None))
    code, _, said = run("report", "record.jsonl")
    assert code == 130
    assert "the same command goes on" in said


def test_importing_the_package_imports_nothing_heavy():
    code = "import leanformer, sys; assert not {'torch', 'transformers'} & set(sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_an_absent_name_of_the_package_is_an_attribute_error():
    import leanformer

    with pytest.raises(AttributeError, match="no attribute 'compres'"):
        _ = leanformer.compres
