"""Checks that decide whether the numbers of a run, or of a pair's round, can be used.

To add a check: one function that takes the facts and returns a Reading (or None where the check does not apply), and
one CheckSpec in CHECKS.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loopwise.analysis.drift import SUB_WINDOWS, Drift
from loopwise.analysis.endings import Ending
from loopwise.analysis.errors import by_kind, listed
from loopwise.generator.error_kinds import ErrorKind
from loopwise.model import SIDES, Check, ErrorCount, GeneratorFigures, HostFigures, Round, Run

Effect = Literal["void", "flag"]

MAX_ERROR_RATIO = 0.01
"""Errors are answered at another cost than successes: above this share the run measures something else."""
MAX_GENERATOR_CPU_RATIO = 0.9
"""A generator nearer to a full core is late to send, whatever its stamps say (docs/method.md, "The generator must not
be what is measured")."""
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
MAX_CLOCK_STEP_MS = 1.0
MAX_PAUSE_S = 0.5
"""A busy machine or a script's own work keep the generator from running for tenths of a second; more is a stopped
process, a suspended machine or a frozen VM, and its length is in latencies and throughput."""
MAX_STEAL_RATIO = 0.1
"""Above this share of stolen CPU, throughput on this machine varies more than the default margin."""
MAX_LITTLE_DEVIATION = 0.05
MIN_ROWS = 20
"""Fewer answers than this in a window make a throughput that one answer more or less moves by 5 %."""
SILENT_PART = 1 / 3
"""A window is void when no answer came in this part of it, at the end."""
SILENCE_FACTOR = 3.0
"""Gaps between answers vary: a silence is one if it lasts this many times as long as the longest gap before it."""
MAX_HUNG_RATIO = 0.05
"""As MAX_LITTLE_DEVIATION: with as many users less it is another load."""
MAX_LATE_MS = 5.0
MAX_RECONNECTED_RATIO = 1.1
"""Connections per user. A few are opened anew after an error; more, and the price of connecting is in the numbers."""
MAX_FREQUENCY_CHANGE = 0.1
"""A clock moves by steps of 100 MHz (3 to 5 %) all the time; by twice the default margin, and the window's ends were
measured on two machines."""
MAX_SWAPPED_MB = 1.0
"""A few pages of an idle process come back at any time; a server that lacks memory moves many times this a second."""
MAX_OTHER_CPU_CORES = 0.2
"""A tenth of a machine with two cores, as MAX_STEAL_RATIO. The kernel counts in ticks, so that a quiet machine shows
up to 0.1."""
MAX_UNEVEN = 1.5
"""The busiest worker's share ÷ a fair one: with two workers 75 % of the requests."""
MIN_REQUESTS = 20
"""Requests per worker below which shares are chance."""
MAX_GROWTH_MB, MAX_GROWTH_RATIO = 8.0, 0.05
"""Less is what caches and the allocator take in the first seconds under load."""


@dataclass(frozen=True)
class Facts:
    """A run so far, and those of its figures that checks need."""

    run: Run
    throughput_rps: float
    service_time_mean_ms: float | None
    generator_lag_mean_ms: float | None
    send_delay_p99_ms: float | None
    """Open load: sent − scheduled."""
    connections: int | None = None
    """Distinct connections in the load's rows, warm-up and drain included."""
    drift: Drift | None = None
    ending: Ending | None = None
    redirects: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Successes that are a redirect which the suite doesn't expect, by endpoint and status."""


@dataclass(frozen=True)
class Reading:
    """The value of a check beside its limit."""

    value: float
    limit: float
    sentence: str
    """What a failure means, and what to do; kept only if the check failed."""
    passes: bool | None = None
    """None: it passes while the value is at most the limit."""
    effect: Effect | None = None
    """None: as the check's spec says."""


@dataclass(frozen=True)
class CheckSpec:
    """A check, and what its failure does."""

    name: str
    effect: Effect
    """Of a failure: `void` makes the run invalid, `flag` puts a mark beside its numbers."""
    read: Callable[[Facts], Reading | None]
    """None where the check does not apply."""
    lost_cpu: Callable[[float, int], float] | None = None
    """Share of the CPU that is gone, from value and cores, if the check is about the machine's passing trouble and not
    about the case: a run that fails it is worth measuring again."""

    def check(self, facts: Facts) -> Check | None:
        """Apply the check to a run."""
        reading = self.read(facts)
        return None if reading is None else self.record(reading)

    def record(self, reading: Reading) -> Check:
        """The check as it is written to run.json; one that passed needs no sentence."""
        is_ok = reading.value <= reading.limit if reading.passes is None else reading.passes
        return Check(
            name=self.name,
            value=reading.value,
            limit=reading.limit,
            effect=reading.effect or self.effect,
            ok=is_ok,
            detail="" if is_ok else reading.sentence,
        )


def errors(counts: Mapping[str, int], kinds: Sequence[ErrorCount], whose: str = "", log: str = "") -> Reading:
    """Answers with another status than expected, timeouts, broken connections.

    Args:
        counts: of a run, or of a side.
        kinds: its errors.
        whose: begins the side's name.
        log: of the server; empty where it already ran.
    """
    ratio = counts.get("errors", 0) / max(counts.get("window_rows", 0), 1)
    told = f": {listed(kinds)}" if kinds else ""
    return Reading(
        ratio, MAX_ERROR_RATIO, f"{100 * ratio:.1f} % of the {whose}requests failed{told}; {_remedy(kinds, log)}"
    )


def _remedy(kinds: Sequence[ErrorCount], log: str) -> str:
    """What to do about the most frequent error."""
    (main, _), *_ = by_kind(kinds).most_common(1) or [("", 0)]
    known = max((prefix for prefix in REMEDIES if main.startswith(prefix)), key=len)
    return REMEDIES[known].format(log=log or "the server's own log")


def errors_of_run(facts: Facts) -> Reading:
    """The errors of a run."""
    return errors(facts.run.counts, facts.run.errors, log="server.log" if facts.run.case.server else "")


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


def script_errors(facts: Facts) -> Reading | None:
    """A Locust file's own code raised nothing: a journey that breaks off is another one than it says."""
    script, load = facts.run.generator.script, facts.run.case.load
    if script is None:
        return None
    place = f" ({script.first_error_at})" if script.first_error_at else ""
    sentence = (
        f"{script.errors} exception{'s' * (script.errors != 1)} in {script.tasks} executions of the script's tasks, "
        f"the first: {script.first_error}{place}; correct the script (generator.log has the traceback), "
        "or set script_errors_allowed in [load]"
    )
    return Reading(script.errors / max(script.tasks, 1), load.script_errors_allowed, sentence)


def stopped(facts: Facts) -> Reading | None:
    """Successful answers came until the window closed, and not only in its first part."""
    window, end = facts.run.window, facts.ending
    if window is None or end is None:
        return None
    limit_s = max(SILENT_PART * window.duration_s, SILENCE_FACTOR * end.usual_s)
    if end.silence_s >= window.duration_s:
        sentence = (
            f"no successful answer came in the window of {window.duration_s:.1f} s; see {_log(facts.run)} "
            "and generator.log"
        )
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
    users = _users_of(run)
    limit = MAX_HUNG_RATIO * users
    sentence = (
        f"{end.hung} requests of {users:.0f} users had no answer at the end ({end.endpoint}: {end.waited_s:.1f} s, "
        f"where the slowest answer took {end.slowest_s:.3g} s): the server hangs; see {_log(run)}"
    )
    return Reading(end.hung, limit, sentence, not end.hung, "void" if end.hung > limit else "flag")


def _log(run: Run) -> str:
    return "server.log" if run.case.server else "the server's own log"


def _users_of(run: Run) -> float:
    """The users of closed load: those asked for, or on average there where a file decides; 0 if that is unknown."""
    decides = run.case.scenario is not None or run.case.load.shape is not None
    return run.generator.users_mean or 0.0 if decides else run.case.load.users


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


def generator_cpu(generator: GeneratorFigures) -> Reading | None:
    """The generator itself must not be what is measured."""
    ratio = generator.cpu_ratio
    if ratio is None:
        return None
    sentence = f"the generator used {100 * ratio:.0f} % of a core and may be the bottleneck; lower users or rate_rps"
    return Reading(ratio, MAX_GENERATOR_CPU_RATIO, sentence)


def clock_step(generator: GeneratorFigures) -> Reading | None:
    """The wall clock ran as steadily as the monotonic one."""
    step_ms = generator.clock_step_ms
    if step_ms is None:
        return None
    sentence = f"the clock was set by {step_ms:.1f} ms during the measurement; measure again"
    return Reading(abs(step_ms), MAX_CLOCK_STEP_MS, sentence)


def paused(generator: GeneratorFigures) -> Reading | None:
    """The generator ran all through the window: it was not stopped, nor the machine suspended."""
    pause_s = generator.longest_pause_s
    if pause_s is None:
        return None
    sentence = (
        f"the generator did not run for {pause_s:.1f} s of the window: it was stopped, the machine was suspended, or a "
        "script blocked it; measure again, and leave process and machine alone meanwhile"
    )
    return Reading(pause_s, MAX_PAUSE_S, sentence)


def steal(host: HostFigures) -> Reading | None:
    """The hypervisor left the CPU to this machine.

    No reason to void a round of a pair either: both sides were disturbed alike, which is what pairs are for.
    """
    ratio = host.steal_ratio
    if ratio is None:
        return None
    sentence = f"the hypervisor took {100 * ratio:.0f} % of the CPU during the window; measure when the host is quieter"
    return Reading(ratio, MAX_STEAL_RATIO, sentence)


def users(facts: Facts) -> Reading | None:
    """Every user that was asked for was there."""
    wanted, had = facts.run.generator.users_wanted, facts.run.generator.users
    if wanted is None or had is None:
        return None
    sentence = f"{had} of {wanted} users ran at the end of the window; see generator.log"
    generator = facts.run.generator
    gone_s, script = generator.users_gone_s, generator.script
    if had and generator.users_mean == had and script is not None and script.stopped_at:
        ended = f"{had} of {wanted} users ran: the script ended the others before the window ({script.stopped_at})"
        return Reading(had, wanted, ended, had == wanted, "flag")
    file = facts.run.case.scenario or (facts.run.case.load.shape or "").rpartition(":")[0]
    if gone_s is not None and file:
        when = f"{gone_s:.1f} s into the window" if gone_s else "when the window began"
        name = Path(file).name
        by = "a shape that returned None" + (
            ", StopUser or runner.quit()" if facts.run.case.scenario else " or 0 users"
        )
        if script is not None and script.stopped_at:
            by = f"StopUser or StopTest in {script.stopped_at}"
        sentence = (
            f"no user of {wanted} was left {when}: {name} ended them, by {by}; "
            "let it run for as long as warm-up and window take"
        )
    return Reading(had, wanted, sentence, had == wanted and (gone_s is None or not facts.run.case.load.shape))


def connections(facts: Facts) -> Reading | None:
    """Closed load: every user had a connection of its own, and kept it.

    Fewer void: less was asked of the server than the case says. More is what some servers do (they close connections
    that wait), and only flags.
    """
    load, used = facts.run.case.load, facts.connections
    if load.model != "closed" or load.new_connection_per_request or facts.run.case.scenario is not None:
        return None
    if used is None or load.shape is not None:  # as many as its users, some of whom leave
        return None
    if used < load.users:
        short = f"only {used} of {load.users} users ever had a connection; see server.log and its limit of connections"
        return Reading(used, load.users, short, passes=False)
    many = f"{load.users} users needed {used} connections: the server closed some; raise its keep-alive time"
    return Reading(used, load.users, many, used <= MAX_RECONNECTED_RATIO * load.users, "flag")


def warm(facts: Facts) -> Reading | None:
    """In closed load, all users had been answered before the window began."""
    window, load = facts.run.window, facts.run.case.load
    if window is None or load.model != "closed":
        return None
    sentence = f"some users had no answer after {load.warmup_max_s:g} s of warm-up; raise warmup_max_s or lower users"
    return Reading(float(window.warm), 1.0, sentence, window.warm)


def drift(facts: Facts) -> Reading | None:
    """Throughput and service time were as high at the window's end as at its start (loopwise.analysis.drift).

    A flag: what was measured is true of these seconds, but may not be true of the next.
    """
    trend = facts.drift
    if trend is None:
        return None
    direction = "rose" if trend.size > 0 else "fell"
    if trend.empty:
        sentence = (
            f"no answer came in {trend.empty} of {SUB_WINDOWS} parts of the window, so a trend cannot be told; "
            "see the time line, and make measure_s many times as long as an answer takes"
        )
        return Reading(abs(trend.size), trend.limit, sentence)
    sentence = (
        f"{trend.what} {direction} over the window by {100 * abs(trend.size):.0f} % of its median: "
        "the server was still warming up, or something grows; raise warmup_s"
    )
    return Reading(abs(trend.size), trend.limit, sentence)


def littles_law(facts: Facts) -> Reading | None:
    """Closed load: users = throughput × (service time + lag + think time), or something is not counted.

    A user whose answer has arrived and was not read yet is neither at the server nor thinking: lag counts, too. Users
    of a script wait as long as it says, so that theirs is only an upper limit: none has two requests in flight. Those
    of a shape come and go, and no number of them holds for the whole window.
    """
    load, mean_ms = facts.run.case.load, facts.service_time_mean_ms
    is_scripted, users = facts.run.case.scenario is not None, _users_of(facts.run)
    if load.model != "closed" or mean_ms is None or not users or load.shape is not None:
        return None
    think_s = 0.0 if is_scripted else load.think_s
    implied = facts.throughput_rps * ((mean_ms + (facts.generator_lag_mean_ms or 0.0)) / 1e3 + think_s)
    # Answers come in whole numbers: a window that holds few of them per user is not that exact.
    slack = users / max(facts.run.counts.get("window_rows", 0), 1)
    deviation = implied / users - 1
    if is_scripted:
        sentence = (
            f"throughput × time in system gives {implied:.1f} requests at once, from {users:.1f} users; see "
            "whether the script sends several at once, or reports one twice"
        )
        return Reading(max(deviation, 0.0), max(MAX_LITTLE_DEVIATION, slack), sentence)
    sentence = (
        f"throughput × time in system gives {implied:.1f} users, {load.users} were there: "
        "the load was not steady in the window; lengthen warmup_s and measure_s"
    )
    return Reading(abs(deviation), max(MAX_LITTLE_DEVIATION, slack), sentence)


def schedule(facts: Facts) -> Reading | None:
    """Open load: requests left when they were due."""
    late_ms = facts.send_delay_p99_ms
    if facts.run.case.load.model != "open" or late_ms is None:
        return None
    sentence = (
        f"1 % of the requests left over {late_ms:.1f} ms late; response times count that, service times do not; "
        "raise max_connections if the server is slow, lower rate_rps if the generator is"
    )
    return Reading(late_ms, MAX_LATE_MS, sentence)


def other_cpu(facts: Facts) -> Reading | None:
    """Nobody else used the CPU: all processes, less the server's, the generator's and our own."""
    host, window = facts.run.host, facts.run.window
    # Without figures of the server its own CPU would pass for somebody else's.
    spent_s = (host.processes_cpu_s, host.harness_cpu_s, host.server_cpu_s)
    if window is None or None in spent_s:
        return None
    all_s, harness_s, server_s = (each or 0.0 for each in spent_s)
    cores = max(all_s - server_s - harness_s - facts.run.generator.cpu_s, 0.0) / window.duration_s
    sentence = f"other processes used {cores:.2f} of a core during the window; end what else runs (see `top`)"
    return Reading(cores, MAX_OTHER_CPU_CORES, sentence)


def core_count(facts: Facts) -> Reading | None:
    """As many cores at the window's end as at its start. Void: no one machine gave these numbers."""
    host = facts.run.host
    if host.cores_before is None or host.cores_after is None:
        return None
    before, after = int(host.cores_before), int(host.cores_after)
    sentence = f"{before} cores at the window's start, {after} at its end; leave them alone and measure again"
    return Reading(after, before, sentence, after == before)


def frequency(facts: Facts) -> Reading | None:
    """The clock of the fastest core, at the window's end as at its start.

    A flag: most of the window may be of one clock.
    """
    ratio = facts.run.host.frequency_ratio
    if ratio is None:
        return None
    sentence = (
        f"the CPU's clock went to {100 * ratio:.0f} % of what it was at the window's start; "
        "set the governor to performance, or let the machine cool"
    )
    return Reading(abs(ratio - 1), MAX_FREQUENCY_CHANGE, sentence)


def swap(facts: Facts) -> Reading | None:
    """No memory went to swap or came from there. Swap that is in use but lies still costs nothing.

    A flag: it may have been somebody else's memory.
    """
    moved_mb = facts.run.host.swapped_mb
    if moved_mb is None:
        return None
    sentence = f"{moved_mb:.1f} MB went to or came from swap during the window; free memory, or turn swap off"
    return Reading(moved_mb, MAX_SWAPPED_MB, sentence)


def worker_idle(facts: Facts) -> Reading | None:
    """Every worker served something.

    A flag, not void: with connections that stay open it is what this server does with this load, a repetition does the
    same, and whoever deploys it gets the same. But the numbers are those of fewer workers than the case is named by.
    """
    served = _requests_of_workers(facts.run)
    if len(served) < 2 or not sum(served):
        return None
    idle = served.count(0)
    sentence = (
        f"{idle} of {len(served)} workers got no request, so the numbers are those of {len(served) - idle}; "
        "raise users, or set new_connection_per_request: workers share connections, not requests"
    )
    return Reading(idle, 0, sentence)


def worker_share(facts: Facts) -> Reading | None:
    """The workers served about as much each."""
    served = _requests_of_workers(facts.run)
    if len(served) < 2 or sum(served) < MIN_REQUESTS * len(served):
        return None
    sentence = (
        f"one of {len(served)} workers served {100 * max(served) / sum(served):.0f} % of the requests; "
        "workers share one queue of connections: raise users, set new_connection_per_request, or take a server "
        "that balances"
    )
    return Reading(max(served) * len(served) / sum(served), MAX_UNEVEN, sentence)


def _requests_of_workers(run: Run) -> list[int]:
    return [worker.requests for worker in run.workers if worker.requests is not None]


def restarted(facts: Facts) -> Reading | None:
    """The worker processes that were ready are those that served to the end."""
    if not facts.run.workers:
        return None
    changed = [worker for worker in facts.run.workers if worker.fate]
    fates = " and ".join(f"{worker.pid} {worker.fate}" for worker in changed[:3])
    return Reading(len(changed), 0, f"worker processes changed during the run ({fates}); see server.log for why")


def pool_deaths(facts: Facts) -> Reading | None:
    """No process of a process pool was lost: the pool is replaced, but what it was doing then failed."""
    lost = facts.run.server.pool_deaths
    if lost is None:
        return None
    sentence = (
        f"a process pool lost a process {lost} times and was replaced; see server.log, "
        "and look for the kernel's out-of-memory killer"
    )
    return Reading(lost, 0, sentence)


def memory(facts: Facts) -> Reading | None:
    """The server's memory did not rise all through the window."""
    growth_mb = facts.run.host.server_rss_growth_mb
    if growth_mb is None:
        return None
    limit_mb = max(MAX_GROWTH_MB, MAX_GROWTH_RATIO * (facts.run.host.server_rss_mb or 0.0))
    sentence = (
        f"the server's memory grew steadily by {growth_mb:.0f} MB within the window; "
        "lengthen measure_s to see whether it ends, and look for what the app keeps"
    )
    return Reading(growth_mb, limit_mb, sentence)


_SPECS = (
    CheckSpec("errors", "void", errors_of_run),
    CheckSpec("unanswered", "void", unanswered),
    CheckSpec("script_errors", "void", script_errors),
    CheckSpec("users", "void", users),
    CheckSpec("hung", "void", hung),
    CheckSpec("stopped", "void", stopped),
    CheckSpec("redirects", "flag", redirects),
    CheckSpec("rows", "flag", rows),
    CheckSpec("retried", "flag", lambda facts: retried(facts.run.counts)),
    CheckSpec("generator_cpu", "void", lambda facts: generator_cpu(facts.run.generator)),
    CheckSpec("connections", "void", connections),
    CheckSpec("warm", "flag", warm),
    CheckSpec("drift", "flag", drift),
    CheckSpec("littles_law", "flag", littles_law),
    CheckSpec("schedule", "flag", schedule),
    CheckSpec("clock_step", "void", lambda facts: clock_step(facts.run.generator)),
    CheckSpec("paused", "void", lambda facts: paused(facts.run.generator)),
    CheckSpec("steal", "flag", lambda facts: steal(facts.run.host), lambda ratio, _cores: ratio),
    CheckSpec("other_cpu", "flag", other_cpu, lambda used, cores: used / max(cores, 1)),
    CheckSpec("core_count", "void", core_count),
    CheckSpec("frequency", "flag", frequency),
    CheckSpec("swap", "flag", swap),
    CheckSpec("worker_idle", "flag", worker_idle),
    CheckSpec("worker_share", "flag", worker_share),
    CheckSpec("restarted", "void", restarted),
    CheckSpec("pool_deaths", "void", pool_deaths),
    CheckSpec("memory", "flag", memory),
)
CHECKS = {spec.name: spec for spec in _SPECS}
"""By name, in the order of run.json."""
DISTURBANCES = frozenset(spec.name for spec in _SPECS if spec.lost_cpu)


def check(facts: Facts) -> tuple[Check, ...]:
    """Apply every check that applies."""
    return tuple(one for spec in CHECKS.values() if (one := spec.check(facts)) is not None)


def check_round(measured: Round) -> tuple[Check, ...]:
    """The checks of a run that apply to a round of a pair; errors and rows are those of each side."""
    readings: list[tuple[str, Reading | None]] = []
    for side in SIDES:
        counts = getattr(measured, side).counts
        count = counts.get("window_rows", 0)
        few = f"only {count} answers of the {side} came; lengthen the round"
        readings += [
            ("errors", errors(counts, getattr(measured, side).errors, f"{side}'s ", f"{side}.log")),
            ("rows", Reading(count, MIN_ROWS, few, count >= MIN_ROWS, "void")),
            ("retried", retried(counts, f"{side}'s ")),
        ]
    readings += [
        ("generator_cpu", generator_cpu(measured.generator)),
        ("clock_step", clock_step(measured.generator)),
        ("paused", paused(measured.generator)),
        ("steal", steal(measured.host)),
    ]
    return tuple(CHECKS[name].record(reading) for name, reading in readings if reading is not None)


def void_reason(checks: Iterable[Check]) -> str | None:
    """Why the run is invalid, in one sentence; None when it is valid."""
    return next((f"{one.name}: {one.detail}" for one in checks if one.effect == "void" and not one.ok), None)


def disturbance(checks: Iterable[Check]) -> float:
    """How far the machine was from leaving a run alone: the worst value ÷ limit of DISTURBANCES; 0 when all passed."""
    failed = [one.value / one.limit for one in checks if one.name in DISTURBANCES and not one.ok]
    return max(failed, default=0.0)
