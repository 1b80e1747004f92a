"""A suite, its cases and their loads."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from loopwise.model.base import CaseId, Grown, Noun

Arrivals = Literal["poisson", "constant"]
FeedOrder = Literal["sequence", "shuffle", "per_user"]
MAX_USERS = 100_000
"""Of closed load, whether the suite or a shape sets them."""


class Content(Noun):
    """A body, or a file of a form: text, or the bytes of a file."""

    text: str | None = None
    file: str | None = None
    """Absolute path; None: `text` is sent."""
    sha256: str | None = None
    """Of the file's bytes."""
    name: str | None = None
    """File name that is sent in a form; None: the last part of `file`."""
    type: str | None = None
    """Content type; None: none of a body, of a form's file what its name says."""


class Feed(Noun):
    """A file whose rows fill the `{name}` of requests."""

    file: str
    """Absolute path of a CSV file with a header line, or of a file of JSON lines."""
    sha256: str
    """Of its bytes: another content makes other requests."""
    order: FeedOrder = "sequence"
    """In the file's order, shuffled by the seed, or a row for each user."""
    unique: bool = False
    """No row is sent twice in a run; its last row is kept for the request before the run."""


class ExpectBody(Noun):
    """The body that counts as success."""

    contains: str | None = None
    """Part of it as text."""
    path: str | None = Field(default=None, alias="json")
    """JSON path of a value in it, such as `$.items[0].id`; None: `contains` is meant."""
    equals: Any = None
    """The value there; None: any."""


class Endpoint(Grown):
    """A request, and the answer that counts as success."""

    added: ClassVar[frozenset[str]] = frozenset(
        {"body", "form", "files", "feed", "expect_body", "capture", "step", "once"}
    )

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = Field(default_factory=dict)
    json_body: Any = Field(default=None, alias="json")
    """Sent as JSON with its content type; None: no body."""
    body: Content | None = None
    """Sent as it is; None: no body."""
    form: dict[str, str | list[str]] | None = None
    """Fields that are sent as a form, beside `files` as parts of it."""
    files: dict[str, Content] | None = None
    """Files of a form (multipart/form-data), by field."""
    feed: Feed | None = None
    """Fills `{name}` in path, headers and bodies; None: only captures of a journey do."""
    expect_status: int | None = None
    """The status that counts as success; None: any 2xx."""
    expect_body: ExpectBody | None = None
    """The body that counts as success; None: any."""
    capture: dict[str, str] = Field(default_factory=dict)
    """Name -> JSON path of its value in the answer, for later steps of the journey."""
    step: int | None = None
    """Place in a journey, from 1; None: the endpoint is one of a mix."""
    once: bool = False
    """Step that a user takes in its first journey only."""
    weight: int = 1
    """Share of this endpoint in a mix, relative to the others."""

    @property
    def name(self) -> str:
        """The endpoint's name in every table: `GET /items/1`."""
        return f"{self.method} {self.path}"

    @property
    def is_filled(self) -> bool:
        """Its `{name}` are places for values; else they are sent as they are."""
        return self.feed is not None or self.step is not None


class Load(Grown):
    """How requests arrive, and for how long."""

    added: ClassVar[frozenset[str]] = frozenset({"script_errors_allowed", "shape"})

    model: Literal["closed", "open"] = "closed"
    users: int = Field(default=50, ge=1, le=MAX_USERS)
    """Closed load: virtual users, each with one request in flight at most."""
    think_s: float = Field(default=0.0, ge=0, le=86_400)
    """Closed load: pause of a user between an answer and the next request."""
    spawn_rate: float | None = Field(default=None, ge=0.001, le=1_000_000)
    """Closed load: users that begin per second; None: all at once."""
    shape: str | None = None
    """Closed load: `/path/of/file.py:Class`, the LoadTestShape that sets users and spawn_rate; None: they are fixed."""
    rate_rps: float = Field(default=100.0, ge=0.001, le=1_000_000)
    """Open load: requests a second, whatever the answers do."""
    ramp_to_rps: float | None = Field(default=None, ge=0.001, le=1_000_000)
    """Open load: the rate at the window's end, reached evenly from rate_rps; None: a steady rate."""
    steps: int | None = Field(default=None, ge=2, le=1000)
    """Open load: number of equal steps to ramp_to_rps; None: evenly."""
    arrivals: Arrivals = "poisson"
    max_connections: int = Field(default=256, ge=1, le=60_000)
    """Open load: limit of connections; requests beyond it wait, and their time counts from when they were due."""
    warmup_s: float = Field(default=1.0, ge=0, le=3600)
    """Shortest warm-up; in closed load it also lasts until every user has had an answer."""
    warmup_max_s: float = Field(default=15.0, ge=0, le=3600)
    """Longest warm-up; a run that is not warm by then is measured and flagged."""
    measure_s: float = Field(default=3.0, ge=0.001, le=86_400)
    new_connection_per_request: bool = False
    timeout_s: float = Field(default=30.0, ge=0.001, le=3600)
    """A request without a complete answer after this time is an error."""
    script_errors_allowed: float = Field(default=0.0, ge=0, le=1)
    """A Locust file's exceptions ÷ task executions up to which a run is valid."""
    victim: str | None = None
    """Path of the canary: a cheap route that is requested 20 times a second beside the load."""

    @property
    def label(self) -> str:
        """Short name for tables and charts: `50 users` or `200/s poisson`."""
        if self.model == "open":
            ramp = "" if self.ramp_to_rps is None else f" to {self.ramp_to_rps:g}"
            return f"{self.rate_rps:g}{ramp}/s {self.arrivals}"
        think = f", think {self.think_s:g} s" if self.think_s else ""
        if self.shape is not None:
            return f"shape {self.shape.rpartition(':')[2]}{think}"
        return f"{self.users} user{'s' if self.users != 1 else ''}{think}"

    @property
    def used_keys(self) -> frozenset[str]:
        """The fields that have a meaning in this load."""
        return LOAD_KEYS[self.model] - (SHAPED_KEYS if self.shape is not None else frozenset())

    @property
    def mean_rps(self) -> float:
        """Open load: the rate over the window, on average."""
        return self.rate_rps if self.ramp_to_rps is None else (self.rate_rps + self.ramp_to_rps) / 2

    @property
    def fixed_users(self) -> int | None:
        """The users of closed load; None where a rate or a shape decides."""
        return self.users if "users" in self.used_keys else None


SHAPED_KEYS = frozenset({"users", "spawn_rate"})
"""Fields of Load that a shape decides."""
_CLOSED_ONLY = SHAPED_KEYS | {"think_s", "shape"}
_OPEN_ONLY = frozenset({"rate_rps", "ramp_to_rps", "steps", "arrivals", "max_connections"})
_ANY_LOAD = frozenset(Load.model_fields) - _CLOSED_ONLY - _OPEN_ONLY
LOAD_KEYS = {"closed": _ANY_LOAD | _CLOSED_ONLY, "open": _ANY_LOAD | _OPEN_ONLY}
"""Load model -> the fields of Load that have a meaning in it."""


class Server(Grown):
    """The server process manager and its settings."""

    added: ClassVar[frozenset[str]] = frozenset(
        {"env", "env_file", "server_args", "access_log", "timeouts", "interface"}
    )

    name: str = "uvicorn"
    """A name in loopwise.servers.specs.SERVERS."""
    workers: int = Field(default=1, ge=1, le=256)
    loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    http: Literal["auto", "h11", "httptools"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=10_000)
    """Tokens of AnyIO's thread limiter per worker; None: its default (40). Of a WSGI app its threads per worker."""
    pool_processes: int | None = Field(default=None, ge=1, le=1024)
    """Processes of the pool behind mode process, per worker; None: one per CPU of the machine."""
    limit_concurrency: int | None = Field(default=None, ge=2, le=1_000_000_000)
    backlog: int | None = Field(default=None, ge=1, le=65_535)
    port: int | None = Field(default=None, ge=1, le=65_535)
    """None: a free port for every run."""
    startup_timeout_s: float = Field(default=30.0, ge=0.001, le=3600)
    probe: bool = True
    """Whether every worker records figures of its event loop and pools."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the server, beside our own and those of `env_file`; `{fresh.NAME}` is a copy's path."""
    env_file: str | None = None
    """Absolute path of a file of NAME=VALUE lines, which is read at every start and never recorded."""
    server_args: tuple[str, ...] = ()
    """More options of the server's command line."""
    access_log: bool = False
    """Whether the server writes a line for every request."""
    timeouts: Literal["production"] | None = None
    """`production`: the server ends workers as it does by default; None: a blocked worker is measured, not killed."""
    interface: Literal["asgi", "wsgi", "a2wsgi"] = "asgi"
    """What the app is: an ASGI app; a WSGI app, served by the server's own interface; or by a2wsgi as an ASGI app."""

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection outlives an answer: gunicorn's worker `sync`, which has one thread, ends it."""
        return (self.name, self.interface) != ("gunicorn", "wsgi") or (self.threads or 1) > 1


class App(Grown):
    """An app that is not target_app, of the interface that its server says."""

    added: ClassVar[frozenset[str]] = frozenset({"cwd", "factory_args", "fresh"})

    target: str
    """`module:attribute`, or `module:factory()` for a function that makes the app."""
    app_dir: str
    """Absolute folder that the module is imported from."""
    python: str
    """Absolute path of the interpreter that has the app's dependencies."""
    cwd: str | None = None
    """Absolute working directory of the server; None: `app_dir`."""
    factory_args: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the factory."""
    fresh: dict[str, str] = Field(default_factory=dict)
    """Name -> absolute path of a file or folder that is copied for every start of the server."""

    @property
    def folder(self) -> str:
        """The server's working directory."""
        return self.cwd or self.app_dir


class Command(Noun):
    """A command of a shell."""

    text: str
    folder: str
    """Absolute working directory."""


class PatchedFile(Noun):
    """A file that a patch changes or adds."""

    path: str
    """From the app's folder, which it may lie beside."""
    sha256: str | None = None
    """Of the file that the patch was made from; None: the patch adds it."""


class Patch(Noun):
    """An edit of an app's source that is compiled in memory; the files stay as they are."""

    name: str
    """Path of the diff as the suite has it, or what it is called."""
    text: str
    """A unified diff."""
    files: tuple[PatchedFile, ...]


class Case(Grown):
    """One cell of the matrix: server × workers × workload × mode × load."""

    added: ClassVar[frozenset[str]] = frozenset({"before_replicate", "dependencies", "options", "patch"})

    case_id: CaseId | Literal[""]
    """Names the folder of its runs; empty until `assign_ids` has given it."""
    workload: str
    """A workload of target_app, or for other apps the endpoint's name."""
    params: dict[str, Any] = Field(default_factory=dict)
    mode: str
    """A name in loopwise.model.modes: of MODES for a workload; `mix` for a case with parts, of OWN_MODES for an app."""
    dependencies: Literal["own", "same"] = "own"
    """Mode of the dependencies of an app's endpoint: as they are written, or the endpoint's."""
    patch: Patch | None = None
    """Edit of the app's source; None: it is as written."""
    features: str = ""
    """Features of target_app's routes, joined by `+`: `response_model+sync_dependency`."""
    parts: tuple["Part", ...] = ()
    """Workloads of a mix, one for each of `endpoints`, in the same order; else empty."""
    server: Server | None = None
    """None: the server already runs (`url`)."""
    app: App | None = None
    """None: the case runs target_app, or `url` is given."""
    url: str | None = None
    """Base URL of a server that already runs."""
    endpoints: tuple[Endpoint, ...]
    scenario: str | None = None
    """Absolute path of a Locust file that sends the requests instead of `endpoints`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the Locust file, and of Locust: scalars, or lists of them."""
    load: Load
    cost: "Cost | None" = None
    needs: tuple[str, ...] = ()
    """Services that must run beside the server (services.SERVICES)."""
    before_replicate: Command | None = None
    """Restores what the load of earlier runs has changed; run before each server start."""

    @property
    def workers(self) -> int | None:
        """Number of worker processes; None: the server already runs."""
        return self.server.workers if self.server else None

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes of its routes, several in a mix."""
        return tuple(dict.fromkeys(part.mode for part in self.parts)) or (self.mode,)

    @property
    def params_label(self) -> str:
        """`ms=50` or an empty string."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.params.items()))

    @property
    def subject(self) -> str:
        """Workload and parameters, or the endpoint: `sleep(ms=50)`, `GET /items/1`."""
        return f"{self.workload}({self.params_label})" if self.params else self.workload


class Part(Noun):
    """One of the workloads of a mix."""

    workload: str
    params: dict[str, Any] = Field(default_factory=dict)
    mode: str
    weight: int = 1
    cost: "Cost | None" = None


class Cost(Noun):
    """Expected cost of one request on an idle machine."""

    wait_ms: float = 0.0
    """Time spent waiting without the CPU."""
    cpu_ms: float = 0.0
    """Time spent computing, holding the GIL."""


class Replicates(Noun):
    """How often each case is repeated."""

    min: int = Field(default=3, ge=1, le=1000)
    max: int = Field(default=3, ge=1, le=1000)
    target_half_width: float = Field(default=0.05, gt=0, lt=1)
    """Half-width of throughput's interval, relative to its value, at which a case is precise enough."""
    repeats: int = Field(default=1, ge=0, le=10)
    """Limit of repetitions of a run during which the machine was disturbed."""


class Generator(Noun):
    """Settings of the load generator."""

    processes: int = Field(default=1, ge=1, le=64)
    """Generator processes; each can use one core."""


class Comparison(Noun):
    """The comparisons of a suite."""

    baseline: dict[str, Any] = Field(default_factory=dict)
    """Factors of the baseline: each case is compared with the one that differs only in these."""
    margin: float = Field(default=0.05, ge=0, lt=1)
    """The practical margin: differences within it do not matter."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    slices_max: int = Field(default=7, ge=0, le=100)
    """Limit of rounds of alternating slices for each comparison that blocks left undecided; 0: none."""
    slices_max_s: float = Field(default=120.0, ge=0, le=86_400)
    """Limit of the time that all slices of the result take together."""


class Suite(Noun):
    """A validated suite: the cases, their replicates and comparisons."""

    name: str
    description: str = ""
    seed: int = 1
    generator: Generator = Generator()
    replicates: Replicates = Replicates()
    compare: Comparison = Comparison()
    cases: tuple[Case, ...]
