"""`leanformer serve` in this process: what it asks of the server, and what it refuses."""

import pytest

import leanformer.serve.running


@pytest.fixture
def asked(monkeypatch):
    calls = []

    def serve(folder, settings, *, tell, **given):
        calls.append((folder, settings, given))
        tell("http://127.0.0.1:1")

    monkeypatch.setattr(leanformer.serve.running, "serve", serve)
    monkeypatch.delenv("LEANFORMER_API_KEY", raising=False)
    return calls


def test_settings_reach_the_server_and_the_address_is_told(run, asked, served, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("secret\n")
    words = ["--port", 0, "--workers", 2, "--threads", 1, "--batch-tokens", 512, "--seconds", 3]
    words += ["--max-body-mib", 2, "--dimensions", 8, "--dimensions", 16, "--name", "mine"]
    code, out, err = run("serve", served, *words, "--api-key-file", keys, "--host", "0.0.0.0")
    assert (code, err) == (0, "")
    assert out == "mine: http://127.0.0.1:1\n"
    ((folder, settings, given),) = asked
    assert folder == served
    assert given == {"host": "0.0.0.0", "port": 0, "workers": 2, "keys": ("secret",)}
    assert (settings.threads, settings.batch_tokens, settings.seconds) == (1, 512, 3.0)
    assert (settings.max_body_bytes, settings.dimensions) == (2 * 2**20, (8, 16))


def test_a_server_without_a_key_that_others_reach_is_warned_of(run, asked, served, monkeypatch):
    _, _, err = run("serve", served, "--host", "0.0.0.0")
    assert "no API key: whoever reaches 0.0.0.0 may ask" in err
    monkeypatch.setenv("LEANFORMER_API_KEY", "secret")
    assert run("serve", served, "--host", "0.0.0.0")[2] == ""
    assert asked[-1][2]["keys"] == ("secret",)
    assert run("serve", served)[2] == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seconds", "0"], "seconds: 0.0 is not above 0"),
        (["--max-body-mib", "0"], "--max-body-mib: 0 is not at least 1"),
        (["--workers", "0"], "--workers: 0 is not at least 1"),
        (["--threads", "-1"], "--threads: -1 is not at least 1"),
        (["--api-key-file", "nowhere"], "nowhere"),
        (["--port", "70000"], "port: 70000 is not between"),
    ],
)
def test_settings_out_of_range_end_in_one_line(run, served, words, said):
    code, out, err = run("serve", served, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_folder_of_nothing_ends_in_one_line(run, tmp_path):
    code, _, err = run("serve", tmp_path)
    assert code == 2
    assert "has neither leanformer.json nor search.json" in err


def test_what_is_not_installed_is_named(run, served, monkeypatch):
    import sys

    for name in ("leanformer.serve.running", "leanformer.serve.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = run("serve", served)
    assert code == 2
    assert err == "leanformer: the server needs uvicorn: pip install 'leanformer[serve]'\n"
