"""Values at the ends of what a suite may hold: `check` refuses them, or they run."""

from functools import partial

from faults.fault import Fault, Ground
from faults.place import Place, said, sentence
from loopwise.results.folder import ResultFolder

LOAD = {"users": "2", "warmup_s": "0.1", "measure_s": "0.3"}
OPEN = {"model": '"open"', "rate_rps": "20", "warmup_s": "0.1", "measure_s": "0.3"}
GET, POST = 'path = "/"', 'path = "/", method = "POST"'

HUNDRED = ", ".join(f'X-{number} = "{number}"' for number in range(100))


def suite_of(load: dict[str, str], entry: str, top: str = "") -> str:
    """A suite of one short run of the place's app."""
    lines = "\n".join(f"{key} = {value}" for key, value in load.items())
    tables = "[replicates]\nmin = 1\nmax = 1\nrepeats = 0\n[compare]\nslices_max = 0\n"
    return f'{top}\n[load]\n{lines}\n{tables}[[matrix]]\napp = "plain:app"\napp_dir = "."\n{entry}\n'


def asking(endpoint: str) -> str:
    return suite_of(LOAD, f"endpoint = {{ {endpoint} }}")


def loaded(**keys: str) -> str:
    """A load with other keys than usual; those of an open one are added where it is one."""
    base = OPEN if "rate_rps" in keys or keys.get("model") == '"open"' else LOAD
    return suite_of(base | keys, 'endpoint = "GET /"')


def served(*lines: str) -> str:
    return suite_of(LOAD, "\n".join(['endpoint = "GET /"', *lines]))


SUITES: dict[str, str] = {
    "1 user": loaded(users="1"),
    "2,000 users": loaded(users="2000"),
    "a day of thinking": loaded(think_s="86400"),
    "a thousand seconds for each user": loaded(spawn_rate="0.001", warmup_max_s="1"),
    "a million new users a second": loaded(spawn_rate="1000000"),
    "a window of a millisecond": loaded(measure_s="0.001"),
    "no warm-up": loaded(warmup_s="0"),
    "a timeout of a millisecond": loaded(timeout_s="0.001"),
    "a timeout of an hour": loaded(timeout_s="3600"),
    "a connection for each request": loaded(new_connection_per_request="true"),
    "a victim": loaded(victim='"/"'),
    "20,000 requests a second": loaded(rate_rps="20000"),
    "one connection": loaded(rate_rps="500", max_connections="1"),
    "60,000 connections": loaded(rate_rps="50", max_connections="60000"),
    "a ramp from nearly nothing": loaded(rate_rps="0.001", ramp_to_rps="200"),
    "a thousand steps": loaded(rate_rps="10", ramp_to_rps="50", steps="1000"),
    "one request in the window": loaded(rate_rps="4", arrivals='"constant"'),
    "no request in the window": loaded(rate_rps="0.5"),
    "the largest seed": suite_of(LOAD, 'endpoint = "GET /"', top="seed = 9223372036854775807"),
    "a name of 64 characters": suite_of(LOAD, 'endpoint = "GET /"', top=f'name = "{"n" * 64}"'),
    "a description of 100,000 characters": suite_of(LOAD, 'endpoint = "GET /"', top=f'description = "{"d" * 100_000}"'),
    **{f"method {method}": asking(f'{GET}, method = "{method}"') for method in ("HEAD", "OPTIONS", "DELETE", "PATCH")},
    "a path of 60,000 characters": asking(f'path = "/{"p" * 60_000}"'),
    "a path of 4,000 characters": asking(f'path = "/{"p" * 4_000}"'),
    "a path beyond ASCII": asking('path = "/é/日本?q=ü"'),
    "a path of percent signs": asking('path = "/%00%ff%25%2F?%"'),
    "a path with quotes": asking("path = \"/'x'?a=<b>&c=%22\""),
    "a path of dots": asking('path = "/../.././a//b"'),
    "no body": asking(f'{POST}, body = ""'),
    "a body of a megabyte": asking(f'{POST}, body = "{"b" * 1_000_000}"'),
    "a body beyond ASCII": asking(f'{POST}, body = "日本\\u0000\\r\\n"'),
    "JSON false": asking(f"{POST}, json = false"),
    "JSON of 96 levels": asking(f"{POST}, json = {'[' * 96}{']' * 96}"),
    "JSON of the largest integer": asking(f"{POST}, json = 9223372036854775807"),
    "JSON of the largest number": asking(f"{POST}, json = 1.7976931348623157e308"),
    "JSON of an odd key": asking(f'{POST}, json = {{ "" = 1, "\\u0000é" = "\\u2028" }}'),
    "JSON not a number": asking(f"{POST}, json = {{ a = nan }}"),
    "100 headers": asking(f"{GET}, headers = {{ {HUNDRED} }}"),
    "a header of 8,000 characters": asking(f'{GET}, headers = {{ X = "{"h" * 8_000}" }}'),
    "a header of 100,000 characters": asking(f'{GET}, headers = {{ X = "{"h" * 100_000}" }}'),
    "an empty header": asking(f'{GET}, headers = {{ X = "" }}'),
    "a header beyond ASCII": asking(f'{GET}, headers = {{ X = "é日" }}'),
    "a header of two lines": asking(f'{GET}, headers = {{ X = "a\\r\\nY: b" }}'),
    **{
        f"header {name}: {value}": asking(f'{GET}, headers = {{ "{name}" = "{value}" }}')
        for name, value in (
            ("Host", "elsewhere"),
            ("Host", ""),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("Connection", "upgrade"),
            ("Upgrade", "websocket"),
            ("Expect", "100-continue"),
            ("Accept-Encoding", "br, gzip"),
            ("Range", "bytes=0-0"),
        )
    },
    "expected status 599": asking(f"{GET}, expect_status = 599"),
    "expected status 200": asking(f"{GET}, expect_status = 200"),
    "expected body": asking(f'{GET}, expect_body = "ok"'),
    "expected body of a wild pattern": asking(f'{GET}, expect_body = {{ regex = "(a*)*b|ok" }}'),
    "8 workers": served("workers = 8"),
    "backlog 1": served("backlog = 1"),
    "limit_concurrency 1": served("limit_concurrency = 1"),
    "limit_concurrency 2": served("limit_concurrency = 2"),
    "limit_concurrency 1,000,000,000": served("limit_concurrency = 1000000000"),
    "10,000 threads": served("threads = 10000"),
    "a start within a millisecond": served("startup_timeout_s = 0.001"),
    "the last port": served("port = 65535"),
    "no probe": served("probe = false"),
    "an access log": served("access_log = true"),
    "a variable of 100,000 characters": served(f'env = {{ A = "{"v" * 100_000}" }}'),
    "a variable of odd characters": served('env = { A = "é\\n\\t\\u001b", B = "", C = 1e300, D = true }'),
    "an empty variable name": served('env = { "" = "a" }'),
    "PYTHONHASHSEED of no number": served('env = { PYTHONHASHSEED = "x" }'),
    "an empty PATH": served('env = { PATH = "" }'),
    "another HOME": served('env = { HOME = "/proc/nowhere" }'),
    "an unknown option of the server": served('server_args = ["--no-such-option"]'),
    "an empty option of the server": served('server_args = [""]'),
    "a command that fails": served('before_replicate = "false"'),
    "a command that floods": served("before_replicate = \"sh -c 'head -c 3000000 /dev/zero'\""),
    "4 generator processes": served().replace("[[matrix]]", "[generator]\nprocesses = 4\n[[matrix]]"),
    "64 generator processes": served().replace("[[matrix]]", "[generator]\nprocesses = 64\n[[matrix]]"),
}
"""By what is extreme in them."""
NOT_THE_SUITES = (
    *("expected status 599", "a command that fails", "a start within a millisecond", "PYTHONHASHSEED of no number"),
    *("an unknown option of the server", "an empty option of the server"),
)
"""The app, its server or interpreter, a command or the machine decides: such runs fail, with a sentence of theirs."""


def runs(name: str, ground: Ground) -> list[str]:
    """Check the suite, and carry it out unless it is refused."""
    place = Place(ground)
    try:
        (place.folder / "extreme.toml").write_text(SUITES[name])
        checked = place.run("check", "extreme.toml")
        problems = said(checked, frozenset({0, 2})) + sentence(checked)
        if checked.status == 2 or problems:
            return problems
        ended = place.run("run", "extreme.toml", "--out", place.result, "--quiet", draws=False)
        problems = said(ended, frozenset({0, 3})) + sentence(ended) + place.leftovers()
        if not (place.result / "experiment.json").exists():
            return [*problems, f"passed `check`, and `run` refused it: {ended.last_line[:300]}"]
        measured, damaged = ResultFolder(place.result).runs()
        problems += damaged
        failed = [run.error or "" for run in measured if run.status == "failed"]
        if name not in NOT_THE_SUITES:
            problems += [f"passed `check`, and its run failed: {error[:300]}" for error in failed]
        return problems
    finally:
        place.end_all()


def faults() -> list[Fault]:
    """Every extreme."""
    holds = "`check` refuses it, or it runs"

    return [Fault("extreme", name, "run", "", holds, partial(runs, name)) for name in SUITES]
