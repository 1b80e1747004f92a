"""Seal experiments with a key of this user, so that only the user's own results are resumed without --trust.

Resuming starts what experiment.json names. A seal is an HMAC of what was decided before the first request, under a key
that never leaves this user's folder, and of the machine: nobody else can make one, nor change what it covers.
"""

import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from loopwise.model import Experiment
from loopwise.results.files import NEW_FILE

MACHINE_ID = Path("/etc/machine-id")
KEY_BYTES = 32
UNSEALED = {"plan", "finished_at", "seal"}
"""Fields that change while it is measured; the plan names cases of the suite only (model/run.py)."""


def sealed(experiment: Experiment) -> Experiment:
    """The experiment with this user's seal; without one where no key can be kept."""
    return experiment.model_copy(update={"seal": _seal(experiment)})


def has_own_seal(experiment: Experiment) -> bool:
    """Whether this user made the experiment on this machine, and nobody has changed it since."""
    seal = _seal(experiment)
    return seal is not None and experiment.seal is not None and hmac.compare_digest(seal, experiment.seal)


def key_file() -> Path:
    """Where the key is kept: `$XDG_STATE_HOME/loopwise/key`, or `~/.local/state/loopwise/key`."""
    folder = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(folder).expanduser() / "loopwise" / "key"


def _seal(experiment: Experiment) -> str | None:
    key = _key()
    if key is None:
        return None
    machine = MACHINE_ID.read_text(encoding="ascii").strip() if MACHINE_ID.is_file() else ""
    text = f"{machine}\n{os.getuid()}\n{experiment.model_dump_json(exclude=UNSEALED)}"
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _key() -> bytes | None:
    """The user's key, made when it is first needed; None where there is no home, or none that can be written."""
    try:
        path = key_file()
        with suppress(FileNotFoundError):
            return _private(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".key.{secrets.token_hex(6)}.new")
        with os.fdopen(os.open(temporary, NEW_FILE, 0o600), "wb") as sink:
            sink.write(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):  # another process was first: its key counts
            os.link(temporary, path)
        temporary.unlink()
        return _private(path)
    except (OSError, RuntimeError):  # RuntimeError: no home is known
        return None


def _private(path: Path) -> bytes | None:
    """The key in a file that nobody else can read or write; else None."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as source:
        facts = os.fstat(source.fileno())
        is_private = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077
        content = source.read(KEY_BYTES)
    return content if is_private and len(content) == KEY_BYTES else None
