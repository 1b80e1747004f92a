"""Supply of a run's declared requests, made ahead: the users only take them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, repeat

from loopwise.generator.feeds import Deal
from loopwise.generator.journeys import Journey
from loopwise.generator.protocol import Order
from loopwise.generator.request import Maker, Request, deck
from loopwise.model import Endpoint, Feed
from loopwise.servers.feeds import Row
from loopwise.servers.templates import names_in, texts_of

PREPARED_BYTES = 64 * 1024 * 1024
"""Requests of a feed are all made before the run if they take no more than this; else in batches."""
BATCH = 32
"""Small, so that no request waits long for those made with it: some 0.1 ms."""


class Supply:
    """The requests of declared endpoints: a mix in proportion to the weights, or journeys.

    Args:
        numbered: all endpoints of a mix, or the steps of a journey, each with its name's number in the recorder.
        host: of the Host header.
        order: the run; its seed and its part of the processes decide what comes when.

    Raises:
        DataError: a file that requests are made of can't be read, or has changed since the suite was read.
        RequestError: HTTP can't carry a request.
    """

    def __init__(self, numbered: Sequence[tuple[int, Endpoint]], host: str, order: Order) -> None:
        endpoints = [endpoint for _, endpoint in numbered]
        in_headers = frozenset(
            name for each in endpoints for key, text in texts_of(each) if key[0] == "headers" for name in names_in(text)
        )
        self._makers = [Maker(each, host, number, in_headers) for number, each in numbered]
        feeds = dict.fromkeys(each.feed for each in endpoints if each.feed is not None)
        self._deals: dict[Feed, Deal] = {feed: Deal(feed, order) for feed in feeds}
        self._own = [feed for feed in feeds if feed.order == "per_user"]
        self._is_journey = endpoints[0].step is not None
        self._deck = (
            deck([each.weight for each in endpoints], order.seed + order.part) if len(endpoints) > 1 else repeat(0)
        )
        shared = [] if self._is_journey else [self._source(maker) for maker in self._makers]
        self._sources: list[Iterator[Request]] = shared
        self._shared = self._mixed(shared) if shared else iter(())
        self.keeps_answers = any(not maker.expectation.is_empty for maker in self._makers) or self._is_journey

    @property
    def failure(self) -> str:
        """Why there are no more requests: one sentence, or nothing."""
        return next((deal.failure for deal in self._deals.values() if deal.failure), "")

    def of_user(self) -> Iterator[Request]:
        """The requests of one more user: the run's common ones, unless something in them is the user's own."""
        try:
            rows: dict[Feed | None, Row] = {feed: self._deals[feed].next_row() for feed in self._own}
        except StopIteration:
            return iter(())
        if self._is_journey:
            return Journey(self._makers, self._deals, rows)
        return self._mixed(self._sources_of(rows)) if rows else self._shared

    def _mixed(self, sources: Sequence[Iterator[Request]]) -> Iterator[Request]:
        if len(sources) == 1:
            return sources[0]
        return map(next, map(sources.__getitem__, self._deck))

    def _sources_of(self, rows: Mapping[Feed | None, Row]) -> list[Iterator[Request]]:
        """The sources with a user's own rows."""
        return [
            repeat(maker.request(rows[feed])) if (feed := maker.endpoint.feed) in rows else source
            for maker, source in zip(self._makers, self._sources, strict=True)
        ]

    def _source(self, maker: Maker) -> Iterator[Request]:
        feed = maker.endpoint.feed
        if feed is None:
            return repeat(maker.request({}))
        if feed.order == "per_user":
            return iter(())
        deal = self._deals[feed]
        size = sum(len(maker.request(row).data) for row in deal.rows[:1]) * len(deal.rows)
        if size > PREPARED_BYTES:
            return _in_batches(maker, deal)
        return map([maker.request(row) for row in deal.rows].__getitem__, deal.numbers)


def _in_batches(maker: Maker, deal: Deal) -> Iterator[Request]:
    while batch := [maker.request(deal.rows[number]) for number in islice(deal.numbers, BATCH)]:
        yield from batch
