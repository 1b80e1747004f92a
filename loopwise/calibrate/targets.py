"""What the generator is expected to reach, and whether it does here. Pure."""

from collections.abc import Callable, Iterable
from typing import Literal

from loopwise.calibrate.cost import DECLARED, FAST, STAMPED
from loopwise.calibrate.document import Calibration, LatencyTruth, Spread, Target
from loopwise.report import format as fmt

MAX_OVER_WRK = 1.6
MIN_FAST_OVER_DECLARED = 25.0
MIN_FAST_OVER_STAMPED = 6.0
MAX_ERROR_RATIO, MAX_ERROR_US = 0.01, 30.0
"""A reported percentile may be off by the greater of the two."""
SCHEDULE_RATE_RPS, MAX_LATE_US = 2000.0, 500.0
MAX_USER_BYTES = 4096
MAX_ROW_BYTES = 12.0


def judge(found: Calibration) -> tuple[Target, ...]:
    """Every target, met or not, or not measured and why."""
    return (
        _ratio(found, DECLARED, "wrk", lambda ratio: ratio <= MAX_OVER_WRK, f"≤ {MAX_OVER_WRK:g}"),
        _ratio(
            found,
            FAST,
            DECLARED,
            lambda ratio: ratio >= MIN_FAST_OVER_DECLARED,
            f"≥ {MIN_FAST_OVER_DECLARED:g}",
        ),
        _ratio(
            found, FAST, STAMPED, lambda ratio: ratio >= MIN_FAST_OVER_STAMPED, f"≥ {MIN_FAST_OVER_STAMPED:g}"
        ),
        *(
            _latency(found, situation, percentile)
            for situation in ("steady", "saturated")
            for percentile in ("p50", "p99")
        ),
        _lateness(found),
        _nothing_dropped(found),
        _nothing_unrecorded(found),
        _user_memory(found),
        _row_size(found),
    )


def _target(figure: str, reach: str, text: str, is_met: bool, detail: str = "") -> Target:
    return Target(figure=figure, reach=reach, found=text, state="met" if is_met else "not met", detail=detail)


def _unmeasured(figure: str, reach: str, why: str) -> Target:
    return Target(figure=figure, reach=reach, found=fmt.NONE, state="not measured", detail=why)


def _ratio(found: Calibration, above: str, below: str, is_met: Callable[[float], bool], reach: str) -> Target:
    """CPU per request of one tool over another's: the median over the rounds decides."""
    figure = f"CPU per request, {above} ÷ {below}"
    ratio = next((r.ratio for r in found.ratios if (r.numerator, r.denominator) == (above, below)), None)
    if ratio is None:
        measured = {tool.tool for tool in found.cost}
        absent = " and ".join(tool for tool in (above, below) if tool not in measured)
        return _unmeasured(figure, reach, f"{absent} could not be run" if absent else "no round had both")
    return _target(figure, reach, spread(ratio), is_met(ratio.median), _rounds_differ(ratio, is_met))


def _rounds_differ(ratio: Spread, is_met: Callable[[float], bool]) -> str:
    return "" if is_met(ratio.low) == is_met(ratio.high) else "the rounds differ on this: repeat it quieter"


def spread(value: Spread) -> str:
    """`1.41 [1.38, 1.52]`: the median, and the lowest and highest round."""
    return fmt.estimate(value.median, value.low, value.high)


def _latency(found: Calibration, situation: Literal["steady", "saturated"] | str, percentile: str) -> Target:
    figure = f"{percentile} against the packets, {situation}"
    reach = f"within {100 * MAX_ERROR_RATIO:.0f} % or {MAX_ERROR_US:g} µs"
    truth = next((t for t in _ours(found.latency) if t.situation == situation), None)
    error_us = None if truth is None else truth.error_us(percentile)
    error_ratio = None if truth is None else truth.error_ratio(percentile)
    if truth is None or error_us is None or error_ratio is None:
        return _unmeasured(figure, reach, "there was no packet capture of this run")
    is_met = abs(error_us) <= MAX_ERROR_US or abs(error_ratio) <= MAX_ERROR_RATIO
    return _target(figure, reach, f"{error_us:+.1f} µs ({100 * error_ratio:+.2f} %)", is_met, _dropped(truth))


def _ours(truths: Iterable[LatencyTruth]) -> list[LatencyTruth]:
    return [truth for truth in truths if truth.tool == DECLARED]


def _dropped(truth: LatencyTruth) -> str:
    if not truth.packets_dropped:
        return ""
    return (
        f"the kernel dropped {truth.packets_dropped:,} packets of the capture, so it is not the whole truth"
    )


def _lateness(found: Calibration) -> Target:
    figure, reach = (
        f"open load at {SCHEDULE_RATE_RPS:g}/s: sent − scheduled p99",
        f"≤ {MAX_LATE_US / 1e3:g} ms",
    )
    at = next((each for each in found.schedule if each.rate_rps == SCHEDULE_RATE_RPS), None)
    if at is None:
        return _unmeasured(figure, reach, "its run failed")
    late_us = at.late_us["p99"]
    detail = "" if found.generator_core is not None else "the generator had no core of its own"
    return _target(figure, reach, fmt.duration(late_us / 1e3), late_us <= MAX_LATE_US, detail)


def _nothing_dropped(found: Calibration) -> Target:
    figure, reach = "requests sent ÷ scheduled, all rates", "1 exactly"
    if not found.schedule:
        return _unmeasured(figure, reach, "its runs failed")
    due, sent = sum(each.due for each in found.schedule), sum(each.sent for each in found.schedule)
    detail = f"{due - sent:,} that were due have no row" if sent < due else ""
    return _target(figure, reach, f"{sent:,} ÷ {due:,}", sent == due, detail)


def _nothing_unrecorded(found: Calibration) -> Target:
    figure, reach = "rows ÷ requests in the packets", "1 exactly"
    truths = [truth for truth in _ours(found.latency) if truth.packet_requests is not None]
    if not truths:
        return _unmeasured(figure, reach, "there was no packet capture")
    text = ", ".join(f"{truth.rows:,} ÷ {truth.packet_requests:,}" for truth in truths)
    detail = next(filter(None, map(_dropped, truths)), "")
    return _target(figure, reach, text, all(t.rows == t.packet_requests for t in truths), detail)


def _user_memory(found: Calibration) -> Target:
    figure, reach = (
        "memory of an idle virtual user, without its socket",
        f"≤ {MAX_USER_BYTES / 1024:g} KiB",
    )
    if found.memory is None:
        return _unmeasured(figure, reach, "its run failed")
    used = found.memory.bytes_per_user
    text = f"{fmt.number(used / 1024)} KiB ({found.memory.users:,} users)"
    return _target(figure, reach, text, used <= MAX_USER_BYTES)


def _row_size(found: Calibration) -> Target:
    figure, reach = "disk per row", f"≤ {MAX_ROW_BYTES:g} bytes"
    if not found.row_sizes:
        return _unmeasured(figure, reach, "no run had rows")
    text = ", ".join(f"{fmt.number(size.bytes_per_row)} ({size.load})" for size in found.row_sizes)
    return _target(figure, reach, text, all(s.bytes_per_row <= MAX_ROW_BYTES for s in found.row_sizes))
