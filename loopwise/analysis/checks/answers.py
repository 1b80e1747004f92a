"""Checks of what came back: enough answers, of the kind that was asked for, to the end of the window."""

from collections.abc import Mapping, Sequence

from loopwise.analysis.checks.facts import Facts, Reading
from loopwise.analysis.errors import by_kind, listed
from loopwise.generator.error_kinds import ErrorKind
from loopwise.model import ErrorCount, Run

MAX_ERROR_RATIO = 0.01
"""Errors are answered at another cost than successes: above this share the run measures something else."""
MAX_REDIRECT_RATIO = 0.01
"""As MAX_ERROR_RATIO: a redirect costs the server less than what it leads to."""
REDIRECTS = (301, 302, 303, 307, 308)
"""Statuses of answers that name another address; 304 is an answer of its own."""
REMEDIES: dict[str, str] = {
    "": "see the errors in its report",
    "status_": "correct the request, or set its expect_status",
    "status_3": "ask for the address that the redirect leads to",
    "status_401": "send what logs in, as a header or a cookie",
    "status_403": "send what logs in, as a header or a cookie",
    "status_429": "the app limits the rate: switch that off to measure it",
    "status_5": "see {log}",
    **dict.fromkeys((ErrorKind.REFUSED, ErrorKind.RESET, ErrorKind.CLOSED, ErrorKind.CLOSED_EARLY), "see {log}"),
    ErrorKind.TIMEOUT: "lower users or rate_rps, or raise timeout_s",
    ErrorKind.CONNECT_TIMEOUT: "lower users or rate_rps, or raise timeout_s",
    ErrorKind.TOO_MANY_FILES: "raise the limit of open files (ulimit -n), or lower users",
    ErrorKind.NO_LOCAL_PORT: "keep connections open (new_connection_per_request = false), or lower the rate",
}
"""Beginning of a kind of error -> what to do about it; the longest that fits."""
MIN_ROWS = 20
"""Fewer answers than this in a window make a throughput that one answer more or less moves by 5 %."""
SILENT_PART = 1 / 3
"""A window is void when no answer came in this part of it, at the end."""
SILENCE_FACTOR = 3.0
"""Gaps between answers vary: a silence is one if it lasts this many times as long as the longest gap before it."""
LONG_PART = 0.5
"""A request that takes this part of a window alone may have no answer in it without any fault."""
MAX_HUNG_RATIO = 0.05
"""As MAX_LITTLE_DEVIATION: with as many users less it is another load."""


def errors(counts: Mapping[str, int], kinds: Sequence[ErrorCount], log: str, whose: str = "") -> Reading:
    """Answers with another status than expected, timeouts, broken connections.

    Args:
        counts: of a run, or of a side.
        kinds: its errors.
        log: name of the server's log in a sentence.
        whose: stands before `requests` in a sentence: `baseline's `.
    """
    ratio = counts.get("errors", 0) / max(counts.get("window_rows", 0), 1)
    named = f": {listed(kinds)}" if kinds else ""
    return Reading(
        ratio, MAX_ERROR_RATIO, f"{100 * ratio:.1f} % of the {whose}requests failed{named}; {_remedy(kinds, log)}"
    )


def _remedy(kinds: Sequence[ErrorCount], log: str) -> str:
    """Advice on the most frequent error."""
    (main, _), *_ = by_kind(kinds).most_common(1) or [("", 0)]
    known = max((prefix for prefix in REMEDIES if main.startswith(prefix)), key=len)
    return REMEDIES[known].format(log=log)


def errors_of_run(facts: Facts) -> Reading:
    """The errors of a run."""
    return errors(facts.run.counts, facts.run.errors, _log(facts.run))


def unanswered(facts: Facts) -> Reading | None:
    """Open load: every request that was due in the window has an outcome.

    Void: the latencies that are known are those of the requests that had their turn, which a queue leaves out of
    account: coordinated omission by another way.
    """
    load, counts = facts.run.case.load, facts.run.counts
    if load.model != "open" or "window_unfinished" not in counts:
        return None
    left, had = counts["window_unfinished"], counts.get("window_rows", 0)
    rate = f"rate_rps = {load.rate_rps:g} was" if load.ramp_to_rps is None else "the offered rates were"
    sentence = (
        f"{rate} not reached: of {left + had:,} requests due in the window {had:,} had an outcome, {left:,} were still "
        "waiting when the run ended; lower the rate, or raise max_connections if the server can take more at a time"
    )
    return Reading(left / max(left + had, 1), MAX_ERROR_RATIO, sentence)


def redirects(facts: Facts) -> Reading | None:
    """Few of the successes only lead elsewhere.

    Void where declared endpoints answered nothing else: then the figures are those of the redirects. A flag in scripts,
    since redirects may be part of a journey.
    """
    answered = facts.run.counts.get("window_rows", 0) - facts.run.counts.get("errors", 0)
    if answered <= 0:
        return None
    led = sum(facts.redirects.values())
    (endpoint, status), _ = max(facts.redirects.items(), key=lambda each: each[1], default=(("", 0), 0))
    sentence = f"{100 * led / answered:.1f} % of the answers are redirects, most of them {status} of {endpoint}; "
    if facts.run.case.scenario is not None:
        sentence += "each is a row of its own, so its time is not part of the answer that it leads to"
        return Reading(led / answered, MAX_REDIRECT_RATIO, sentence, effect="flag")
    sentence += (
        "ask for the address that they lead to (to measure a redirect itself, declare the endpoint with "
        f"expect_status = {status})"
    )
    return Reading(led / answered, MAX_REDIRECT_RATIO, sentence, effect="void" if led == answered else "flag")


def stopped(facts: Facts) -> Reading | None:
    """Successful answers came until the window closed, and not only in its first part."""
    window, end = facts.run.window, facts.ending
    if window is None or end is None:
        return None
    limit_s = max(SILENT_PART * window.duration_s, SILENCE_FACTOR * end.usual_s)
    if end.silence_s >= window.duration_s:
        name, alone_s = max(
            ((name, alone_ms / 1e3) for name, alone_ms in facts.run.alone_ms.items()),
            key=lambda each: each[1],
            default=("", 0.0),
        )
        why = f"see {_log(facts.run)} and generator.log"
        if alone_s > LONG_PART * window.duration_s:
            why = f"{name} takes {alone_s:.3g} s alone, so set measure_s to several times that"
        sentence = f"no successful answer came in the window of {window.duration_s:.1f} s; {why}"
    else:
        sentence = (
            f"no successful answer came in the last {end.silence_s:.1f} s of the window of {window.duration_s:.1f} s: "
            f"the server or the load stopped there; see {_log(facts.run)} and generator.log"
        )
    return Reading(end.silence_s, limit_s, sentence)


def hung(facts: Facts) -> Reading | None:
    """Closed load: no request was in flight at the window's end whose answer never came.

    The user who waits for it is lost to the load, and its time is in no percentile. A flag while they are few.
    """
    run, end = facts.run, facts.ending
    if run.case.load.model != "closed" or end is None:
        return None
    users = facts.users
    limit = MAX_HUNG_RATIO * users
    sentence = (
        f"{end.hung} requests of {users:.0f} users had no answer at the end ({end.endpoint}: {end.waited_s:.1f} s, "
        f"where the slowest answer took {end.slowest_s:.3g} s): the server hangs; see {_log(run)}"
    )
    return Reading(end.hung, limit, sentence, not end.hung, "void" if end.hung > limit else "flag")


def _log(run: Run) -> str:
    return "server.log" if run.case.server else "the server's own log"


def rows(facts: Facts) -> Reading:
    """Enough answers to compute from."""
    count = facts.run.counts.get("window_rows", 0)
    silence = stopped(facts)
    # More of a server that stopped answering would give no more answers.
    is_silent = silence is not None and silence.value > silence.limit
    advice = "" if is_silent else "; lengthen measure_s"
    sentence = f"only {count} answers came in the window{advice}"
    return Reading(count, MIN_ROWS, sentence, count >= MIN_ROWS, "void" if count == 0 else "flag")


def retried(counts: Mapping[str, int], whose: str = "") -> Reading | None:
    """No request met a connection that the server was closing."""
    if "retried" not in counts:
        return None
    count = counts["retried"]
    sentence = (
        f"{count} of the {whose}requests met a connection that the server was closing, and were sent again; see the "
        "column retried of its samples, and keep pauses off the server's keep-alive timeout if that is why it closed"
    )
    return Reading(count, 0, sentence)
