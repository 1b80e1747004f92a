"""Targets of the generator, and whether a calibration meets them. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from loopwise.calibrate.records import DECLARED, FAST, STAMPED, Calibration, LatencyTruth, Spread, Target
from loopwise.report import format as fmt

MAX_OVER_WRK = 1.6
MIN_FAST_OVER_DECLARED = 25.0
MIN_FAST_OVER_STAMPED = 6.0
MAX_ERROR_RATIO, MAX_ERROR_US = 0.01, 30.0
"""A reported percentile may be off by the greater of the two."""
SCHEDULE_RATE_RPS, MAX_LATE_US = 2000.0, 500.0
MAX_USER_BYTES = 4096
MAX_ROW_BYTES = 12.0


class Finding(NamedTuple):
    """A figure that was measured."""

    text: str
    is_met: bool
    detail: str = ""


@dataclass(frozen=True)
class Goal:
    """A figure that the generator should reach."""

    figure: str
    reach: str
    find: Callable[[Calibration], Finding | str]
    """The figure in a calibration, or why it was not measured."""

    def judge(self, calibration: Calibration) -> Target:
        """The target beside the figure of a calibration."""
        finding = self.find(calibration)
        if isinstance(finding, str):
            return Target(figure=self.figure, reach=self.reach, found=fmt.NONE, state="not measured", detail=finding)
        return Target(
            figure=self.figure,
            reach=self.reach,
            found=finding.text,
            state="met" if finding.is_met else "not met",
            detail=finding.detail,
        )


def judge(calibration: Calibration) -> tuple[Target, ...]:
    """Every target of a calibration: met, not met, or not measured and why."""
    return tuple(goal.judge(calibration) for goal in GOALS)


def spread(value: Spread) -> str:
    """`1.41 [1.38, 1.52]`: the median, and the lowest and highest round."""
    return fmt.estimate(value.median, value.low, value.high)


def _ratio(above: str, below: str, *, at_most: float | None = None, at_least: float | None = None) -> Goal:
    """CPU per request of one tool over another's: the median over the rounds decides."""

    def is_met(ratio: float) -> bool:
        return (at_most is None or ratio <= at_most) and (at_least is None or ratio >= at_least)

    def find(calibration: Calibration) -> Finding | str:
        pairs = {(each.numerator, each.denominator): each.ratio for each in calibration.ratios}
        if (ratio := pairs.get((above, below))) is None:
            measured = {each.tool for each in calibration.cost}
            absent = " and ".join(tool for tool in (above, below) if tool not in measured)
            return f"{absent} could not be run" if absent else "no round had both"
        is_close = is_met(ratio.low) != is_met(ratio.high)
        detail = "the rounds differ on this: repeat it on a quieter machine" if is_close else ""
        return Finding(spread(ratio), is_met(ratio.median), detail)

    reach = f"≤ {at_most:g}" if at_most is not None else f"≥ {at_least:g}"
    return Goal(f"CPU per request, {above} ÷ {below}", reach, find)


def _latency(situation: str, percentile: str) -> Goal:
    """A reported percentile beside the same one of the packets."""

    def find(calibration: Calibration) -> Finding | str:
        for truth in _ours(calibration):
            error_us, error_ratio = truth.error_us(percentile), truth.error_ratio(percentile)
            if truth.situation == situation and error_us is not None and error_ratio is not None:
                is_met = abs(error_us) <= MAX_ERROR_US or abs(error_ratio) <= MAX_ERROR_RATIO
                return Finding(f"{error_us:+.1f} µs ({100 * error_ratio:+.2f} %)", is_met, _dropped([truth]))
        return "there was no packet capture of this run"

    reach = f"within {100 * MAX_ERROR_RATIO:.0f} % or {MAX_ERROR_US:g} µs"
    return Goal(f"{percentile} against the packets, {situation}", reach, find)


def _ours(calibration: Calibration) -> Iterator[LatencyTruth]:
    return (truth for truth in calibration.latency if truth.tool == DECLARED)


def _dropped(truths: Sequence[LatencyTruth]) -> str:
    count = next((truth.packets_dropped for truth in truths if truth.packets_dropped), 0)
    return f"the kernel dropped {count:,} packets of the capture, so it is incomplete" if count else ""


def _lateness(calibration: Calibration) -> Finding | str:
    at = next((each for each in calibration.schedule if each.rate_rps == SCHEDULE_RATE_RPS), None)
    if at is None:
        return "its run failed"
    late_us = at.late_us["p99"]
    detail = "" if calibration.generator_core is not None else "the generator had no core of its own"
    return Finding(fmt.duration(late_us / 1e3), late_us <= MAX_LATE_US, detail)


def _sent(calibration: Calibration) -> Finding | str:
    if not calibration.schedule:
        return "its runs failed"
    due, sent = (sum(getattr(each, name) for each in calibration.schedule) for name in ("due", "sent"))
    detail = f"{due - sent:,} that were due have no row" if sent < due else ""
    return Finding(f"{sent:,} ÷ {due:,}", sent == due, detail)


def _recorded(calibration: Calibration) -> Finding | str:
    truths = [truth for truth in _ours(calibration) if truth.packet_requests is not None]
    if not truths:
        return "there was no packet capture"
    text = ", ".join(f"{truth.rows:,} ÷ {truth.packet_requests:,}" for truth in truths)
    return Finding(text, all(each.rows == each.packet_requests for each in truths), _dropped(truths))


def _user_memory(calibration: Calibration) -> Finding | str:
    if (memory := calibration.memory) is None:
        return "its run failed"
    text = f"{fmt.number(memory.bytes_per_user / 1024)} KiB ({memory.users:,} users)"
    return Finding(text, memory.bytes_per_user <= MAX_USER_BYTES)


def _row_size(calibration: Calibration) -> Finding | str:
    if not (sizes := calibration.row_sizes):
        return "no run had rows"
    text = ", ".join(f"{fmt.number(size.bytes_per_row)} ({size.load})" for size in sizes)
    return Finding(text, all(size.bytes_per_row <= MAX_ROW_BYTES for size in sizes))


GOALS = (
    _ratio(DECLARED, "wrk", at_most=MAX_OVER_WRK),
    _ratio(FAST, DECLARED, at_least=MIN_FAST_OVER_DECLARED),
    _ratio(FAST, STAMPED, at_least=MIN_FAST_OVER_STAMPED),
    *(_latency(load, percentile) for load in ("steady", "saturated") for percentile in ("p50", "p99")),
    Goal(
        f"open load at {SCHEDULE_RATE_RPS:g}/s: sent − scheduled p99",
        f"≤ {MAX_LATE_US / 1e3:g} ms",
        _lateness,
    ),
    Goal("requests sent ÷ scheduled, all rates", "1 exactly", _sent),
    Goal("rows ÷ requests in the packets", "1 exactly", _recorded),
    Goal("memory of an idle virtual user, without its socket", f"≤ {MAX_USER_BYTES / 1024:g} KiB", _user_memory),
    Goal("disk per row", f"≤ {MAX_ROW_BYTES:g} bytes", _row_size),
)
"""In the order of the report's table."""
