"""Checks of what was sent: the users, connections and due times that were asked for, by a generator that keeps up."""

from pathlib import Path

from loopwise.analysis.checks.facts import Facts, Reading
from loopwise.analysis.drift import SUB_WINDOWS
from loopwise.model import GeneratorFigures

MAX_GENERATOR_CPU_RATIO = 0.9
"""A generator nearer to a full core is late to send, whatever its stamps say (docs/method.md, "The generator must not
be what is measured")."""
MAX_CLOCK_STEP_MS = 1.0
MAX_PAUSE_S = 0.5
"""A busy machine or a script's own work keep the generator from running for tenths of a second; more is a stopped
process, a suspended machine or a frozen VM, and its length is in latencies and throughput."""
MAX_LITTLE_DEVIATION = 0.05
MAX_LATE_MS = 5.0
MAX_RECONNECTED_RATIO = 1.1
"""Connections per user. A few are opened anew after an error; more, and the price of connecting is in the numbers."""


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


def users(facts: Facts) -> Reading | None:
    """Every user that was asked for was there."""
    generator = facts.run.generator
    wanted, had = generator.users_wanted, generator.users
    if wanted is None or had is None:
        return None
    stopped_at = generator.script.stopped_at if generator.script else ""
    if stopped_at and had and generator.users_mean == had:
        ended = f"{had} of {wanted} users ran: the script ended the others before the window ({stopped_at})"
        return Reading(had, wanted, ended, had == wanted, "flag")
    has_ended = generator.users_gone_s is not None and facts.run.case.load.shape is not None
    return Reading(had, wanted, _missing_users(facts, stopped_at), had == wanted and not has_ended)


def _missing_users(facts: Facts, stopped_at: str) -> str:
    """The sentence on users that were not there: a script or a shape ended them, or the generator's log knows more."""
    run, generator = facts.run, facts.run.generator
    gone_s, wanted = generator.users_gone_s, generator.users_wanted
    file = run.case.scenario or (run.case.load.shape or "").rpartition(":")[0]
    if gone_s is None or not file:
        return f"{generator.users} of {wanted} users ran at the end of the window; see generator.log"
    when = f"{gone_s:.1f} s into the window" if gone_s else "when the window began"
    by = f"StopUser or StopTest in {stopped_at}"
    if not stopped_at:
        by = "a shape that returned None" + (", StopUser or runner.quit()" if run.case.scenario else " or 0 users")
    return (
        f"no user of {wanted} was left {when}: {Path(file).name} ended them, by {by}; "
        "let it run for as long as warm-up and window take"
    )


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
    server = facts.run.case.server
    is_usual = server is not None and not server.keeps_connections
    return Reading(used, load.users, many, is_usual or used <= MAX_RECONNECTED_RATIO * load.users, "flag")


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
            f"no answer came in {trend.empty} of {SUB_WINDOWS} parts of the window, so a trend cannot be seen; "
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
    is_scripted, users = facts.run.case.scenario is not None, facts.users
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
