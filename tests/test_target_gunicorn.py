"""What gunicorn is told by the probe's configuration."""

import sys

import pytest
from support.probe import load_file


def test_gunicorn_is_told_the_options_that_it_has_no_flags_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPWISE_LOOP", "asyncio")
    monkeypatch.setenv("LOOPWISE_HTTP", "h11")
    monkeypatch.setenv("LOOPWISE_LIMIT_CONCURRENCY", "64")
    options = load_file("gunicorn_conf.py").LoopwiseWorker.CONFIG_KWARGS
    assert options == {"loop": "asyncio", "http": "h11", "limit_concurrency": 64}


def test_gunicorn_gets_defaults_where_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOPWISE_LOOP", "LOOPWISE_HTTP", "LOOPWISE_LIMIT_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    options = load_file("gunicorn_conf.py").LoopwiseWorker.CONFIG_KWARGS
    assert options == {"loop": "auto", "http": "auto", "limit_concurrency": None}


def test_gunicorn_without_uvicorn_worker_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn_worker", None)
    with pytest.raises(RuntimeError, match=f"run: {sys.executable} -m pip install uvicorn-worker"):
        load_file("gunicorn_conf.py")
