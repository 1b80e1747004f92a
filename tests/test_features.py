"""Route features: each does what it says, and what it costs in trips to the thread pool can be counted."""

from collections.abc import Iterator
from typing import Any

import anyio.to_thread
import httpx
import pytest
from support.target import WHERE, ask

from target_app import dependencies, features
from target_app.app import create_app
from target_app.features import EXCLUDED, FEATURES, normal
from target_app.web_features import HEADER, PIECES, _cut

# feature -> trips to the thread pool that it adds to an async route, and to a sync route
TRIPS: dict[str, tuple[int, int]] = {
    "response_model": (0, 1),
    "sync_dependency": (1, 1),
    "async_dependency": (0, 0),
    "yield_dependency": (2, 2),
    "background_task": (1, 1),
    "streaming": (0, PIECES + 1),
    "middleware_asgi": (0, 0),
    "middleware_base": (0, 0),
}


@pytest.fixture(autouse=True)
def nothing_done(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("LOOPWISE_WORKLOADS", raising=False)
    dependencies.done.clear()
    yield
    dependencies.done.clear()


def asked_with(added: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> tuple[httpx.Response, int]:
    """The answer of a route with these features, and its trips to the thread pool."""
    hops: list[Any] = []
    run_sync = anyio.to_thread.run_sync

    async def counted(function: Any, *args: Any, **options: Any) -> Any:
        hops.append(function)
        return await run_sync(function, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(anyio.to_thread, "run_sync", counted)
        patch.setenv("LOOPWISE_MODES", mode)
        patch.setenv("LOOPWISE_FEATURES", added)
        (response,) = ask(create_app({"where": WHERE}), f"/where/{mode}")
    return response, len(hops)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_leaves_the_answer_alone_and_takes_its_trips_to_the_thread_pool(
    feature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode, own, added in zip(("async", "sync"), (0, 1), TRIPS[feature], strict=True):
        plain, _ = asked_with("", mode, monkeypatch)
        response, trips = asked_with(feature, mode, monkeypatch)
        assert (response.status_code, response.json()) == (200, plain.json())
        assert trips == own + added, mode


@pytest.mark.parametrize("feature", ["sync_dependency", "async_dependency", "yield_dependency", "background_task"])
def test_what_no_answer_shows_is_done_once_per_request(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_with(feature, "async", monkeypatch)
    assert dependencies.done == {feature: 1}


def test_each_middleware_adds_its_header_and_both_may_stand_together(monkeypatch: pytest.MonkeyPatch) -> None:
    response, _ = asked_with("middleware_asgi+middleware_base", "async", monkeypatch)
    assert sorted(response.headers.get_list(HEADER)) == ["asgi", "base"]
    plain, _ = asked_with("", "async", monkeypatch)
    assert HEADER not in plain.headers


def test_a_streamed_answer_has_no_length_and_more_than_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    streamed, _ = asked_with("streaming", "async", monkeypatch)
    plain, _ = asked_with("", "async", monkeypatch)
    assert "content-length" not in streamed.headers
    assert streamed.headers["content-type"] == plain.headers["content-type"]
    assert len(_cut({"a": "long enough"})) == PIECES


def test_a_response_model_refuses_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="validation error"):
        features.Reply.model_validate({"a": object()})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gzip", 'got "gzip", allowed are "" for none and response_model'),
        ("streaming+streaming", 'got "streaming" twice'),
        ("streaming+response_model", "exclude each other: FastAPI sends a streamed answer as it is"),
    ],
)
def test_what_cannot_stand_together_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        normal(text)


def test_order_does_not_matter_and_every_feature_has_its_trips_above() -> None:
    assert normal("sync_dependency+response_model") == normal("response_model+sync_dependency")
    assert set(TRIPS) == set(FEATURES)
    assert all(pair <= set(FEATURES) for pair in EXCLUDED)
