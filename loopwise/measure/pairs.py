"""Measures rounds of a pair: two cases on a fresh pair of servers, loaded at once (duel) or by turns (slices)."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from loopwise.analysis.checks import check_round, void_reason
from loopwise.analysis.rounds import side_of
from loopwise.errors import RunError
from loopwise.generator.protocol import Order, Rival, Slice
from loopwise.measure.testbed import Recording, Testbed, keep_partial_rows
from loopwise.model import SIDES, Case, HostFigures, Pairing, Round, Side, SideName
from loopwise.results.folder import STREAM, seal_samples
from loopwise.results.room import check_room
from loopwise.servers.lifecycle import RunningServer
from loopwise.servers.pinning import Pinning, pin
from loopwise.servers.preparation import prepare


@dataclass(frozen=True)
class Pair:
    """Two cases with the same load."""

    baseline: Case
    candidate: Case
    pairing: Pairing
    slice_s: float | None = None
    """Length of a slice; None in a duel."""
    slices: int = 0
    """Per round, of both sides together."""

    @property
    def cases(self) -> dict[SideName, Case]:
        """The case of each side."""
        return {"baseline": self.baseline, "candidate": self.candidate}

    @property
    def names(self) -> tuple[str, str]:
        """The case_id of baseline and candidate."""
        return self.baseline.case_id, self.candidate.case_id


def measure_round(testbed: Testbed, pair: Pair, number: int) -> Round:
    """Measure one round, write it and return it; if a side can't be measured, the round has failed."""
    return _measured(testbed, pair, number, lambda record: _load(testbed, pair, record))


def measure_round_on(
    testbed: Testbed, pair: Pair, number: int, servers: Mapping[SideName, RunningServer], pinning: Pinning
) -> Round:
    """Measure one round as `measure_round`, on servers that are up; the canary is asked beside it.

    Args:
        testbed: its result gets the round.
        pair: in slices.
        number: of the round, for which both servers were started freshly.
        servers: of both sides.
        pinning: cores of both and of the generator.
    """

    def load(record: Round) -> Recording:
        return _load_on(testbed, pair, record, servers, pinning, has_canary=True)

    return _measured(testbed, pair, number, load)


def _measured(testbed: Testbed, pair: Pair, number: int, load: Callable[[Round], Recording]) -> Round:
    check_room(testbed.result.path)
    folder = testbed.result.new_round_folder(*pair.names, number)
    record = Round(
        pairing="duel" if pair.slice_s is None else "slices",
        number=number,
        baseline_case=pair.baseline.case_id,
        candidate_case=pair.candidate.case_id,
        status="failed",
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        slice_s=pair.slice_s,
        first=SIDES[(number + 1) % 2],
    )
    try:
        record = _evaluate(testbed, record, load(record))
    except RunError as error:
        check_room(testbed.result.path)
        record = record.model_copy(update={"error": str(error)})
        keep_partial_rows(folder)
    testbed.result.write_round(record)
    return record


def _load(testbed: Testbed, pair: Pair, record: Round) -> Recording:
    """Start both servers and load them."""
    folder = testbed.result.round_folder(*pair.names, record.number)
    places = pin_sides(pair, testbed.cores)
    prepare([pair.baseline, pair.candidate], record.number, folder / f"{SIDES[0]}.log")
    with ExitStack() as stack:
        servers = {
            name: testbed.start(
                stack, pair.cases[name], places[name], log=folder / f"{name}.log", services_seed=folder.name
            )
            for name in (SIDES if record.first == "baseline" else SIDES[::-1])
        }
        return _load_on(testbed, pair, record, servers, places["baseline"], has_canary=False)


def _load_on(
    testbed: Testbed,
    pair: Pair,
    record: Round,
    servers: Mapping[SideName, RunningServer],
    pinning: Pinning,
    *,
    has_canary: bool,
) -> Recording:
    """Load two servers that are up."""
    folder = testbed.result.round_folder(*pair.names, record.number)
    order = Order(
        url=servers["baseline"].url,
        endpoints=pair.baseline.endpoints,
        load=pair.baseline.load,
        rival=Rival(
            url=servers["candidate"].url,
            endpoints=pair.candidate.endpoints,
            slice_s=pair.slice_s,
            slices=pair.slices,
            first=record.first,
            has_canary=has_canary,
        ),
        seed=testbed.load_seed(*pair.names, record.number),
        samples=str(folder / STREAM),
        cores=pinning.generator,
        opens_ahead=all(server.opens_ahead for server in servers.values()),
    )
    recording = Recording({name: servers[name] for name in SIDES})
    testbed.load(recording, order)
    return recording


def _evaluate(testbed: Testbed, record: Round, recording: Recording) -> Round:
    """Complete a round with the figures of both sides and its checks."""
    folder = testbed.result.round_folder(record.baseline_case, record.candidate_case, record.number)
    seal_samples(folder)
    table = testbed.result.round_samples(record)
    window = recording.window()
    span = Slice("baseline", window.start_ns, window.end_ns)
    # Without slices both sides were loaded for the whole window.
    stretches = recording.done.slices or tuple(span._replace(side=name) for name in SIDES)
    figures = {name: recording.figures(name) for name in SIDES}
    cpu_s = {name: figures[name].get("server_cpu_s") for name in SIDES}
    total_s = sum(filter(None, cpu_s.values()))
    sides: dict[str, Side] = {}
    for name in SIDES:
        spent_s = cpu_s[name]
        share = None if spent_s is None or not total_s else spent_s / total_s
        sides[name] = side_of(table, name, stretches, spent_s, span).model_copy(
            update={"server": recording.servers[name].facts, "cpu_share": share}
        )
    host = {key: value for key, value in figures["baseline"].items() if not key.startswith("server_")}
    baseline_ns = sum(each.end_ns - each.start_ns for each in stretches if each.side == "baseline")
    record = record.model_copy(
        update={
            **sides,
            "duration_s": baseline_ns / 1e9,
            "generator": recording.done.figures,
            "host": HostFigures(**host),
        }
    )
    checks = check_round(record)
    reason = void_reason(checks)
    return record.model_copy(
        update={"checks": checks, "status": "ok" if reason is None else "invalid", "error": reason}
    )


def pin_sides(pair: Pair, cores: Sequence[int]) -> dict[SideName, Pinning]:
    """Place each side as in a run of its own; in a duel both share their cores.

    Where one side can't be placed apart from the generator, none is: their cores would not be equal.
    """
    places = {name: pin(case, cores, 1) for name, case in pair.cases.items()}
    if not all(each.is_apart for each in places.values()):
        return dict.fromkeys(SIDES, Pinning())
    return places
