"""Validate what a suite points at: apps, folders, interpreters, Locust files, URLs."""

import ipaddress
import os
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from loopwise.errors import ServerError
from loopwise.servers.environment import read_env_file
from loopwise.servers.origin import UNIX
from loopwise.suite.file import Key, Source, shown
from loopwise.suite.limits import text_fault

DOTENV = ".env"
APP_TARGET = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*(\(\))?"
"""`module:attribute` or `module:factory()`."""
ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[\w-]+(\.[\w-]+)*):\d{1,5}(/\S*)?"
"""`127.0.0.1:9000`, `localhost:9000/x`: a URL without its scheme."""


def meant_url(text: str) -> str | None:
    """The URL that a text is, or would be with a scheme before it; None: it is something else."""
    if text.startswith(("http://", "https://")):
        return text
    return f"http://{text}" if re.fullmatch(ADDRESS, text) else None


def _absolute(text: str, key: Key, source: Source, *, follow: bool = True) -> Path:
    """The path of a text, from the suite's folder; refused where no file can have that name."""
    path = source.folder / text
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # whoever needs it says so
    except OSError as error:
        raise source.error(key, f"got {shown(text)}, which can be no path ({error.strerror}); correct it") from None
    except ValueError:
        raise source.error(key, f"got {shown(text)}, which {text_fault(text)}; correct it") from None
    return path.resolve() if follow else path


def app_target(text: str, key: Key, source: Source) -> str:
    """Return the text if it has the form of an app; whether it can be imported shows when the server starts."""
    if url := meant_url(text):
        raise source.error(
            key, f'got {shown(text)}, an address and no app; for the server that runs there give its url, "{url}"'
        )
    if not re.fullmatch(APP_TARGET, text):
        raise source.error(key, f'got {shown(text)}, allowed is "module:attribute" or "module:factory()"; correct it')
    return text


def folder(text: str, key: Key, source: Source) -> str:
    """Return the absolute path of a folder that exists."""
    path = _absolute(text, key, source)
    if not path.is_dir():
        raise source.error(
            key, f"got {shown(text)}, but there is no folder {path}; paths start from the suite's folder"
        )
    return str(path)


def interpreter(text: str, key: Key, source: Source) -> str:
    """Return the absolute path of a Python that can be started; a bare name is looked up on the PATH.

    The file itself stays a symlink: through it a virtual environment's Python finds its packages.
    """
    path = _absolute(text, key, source, follow=False)
    if path.name == text and not path.exists():
        path = Path(shutil.which(text) or path)
    absolute = path.parent.resolve() / path.name
    if not absolute.is_file():
        raise source.error(
            key,
            f"got {shown(text)}, but there is no file {absolute}; make the environment or correct the path",
        )
    if not os.access(absolute, os.X_OK):
        raise source.error(
            key, f"got {shown(text)}, but {absolute} can't be executed; give the environment's bin/python"
        )
    return str(absolute)


def env_file(text: str, key: Key, source: Source) -> str:
    """Return the absolute path of a file of NAME=VALUE lines."""
    path = _absolute(text, key, source)
    try:
        read_env_file(path)
    except ServerError as error:
        raise source.error(key, str(error).removeprefix("env_file: ")) from None
    return str(path)


def fresh(paths: Mapping[str, str], key: Key, source: Source) -> dict[str, str]:
    """Return the absolute paths of what is copied for every start, by its name."""
    found = {name: _absolute(text, key, source) for name, text in paths.items()}
    for name, path in found.items():
        if not path.is_file() and not path.is_dir():
            raise source.error(
                key, f"got {shown(paths[name])}, but there is no file or folder {path}; make it, or correct the path"
            )
    return {name: str(path) for name, path in found.items()}


def existing_file(text: str, key: Key, source: Source) -> Path:
    """Return the absolute path of a file that exists."""
    path = _absolute(text, key, source)
    if not path.is_file():
        raise source.error(key, f"got {shown(text)}, but there is no file {path}; paths start from the suite's folder")
    return path


def text_file(text: str, key: Key, source: Source) -> str:
    """Return what a file says, its line ends as they are."""
    path = existing_file(text, key, source)
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise source.error(key, f"{path} can't be read ({error.strerror}); check its permissions") from None
    except UnicodeDecodeError as error:
        raise source.error(key, f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8") from None


def locust_file(text: str, key: Key, source: Source) -> str:
    """Return the absolute path of a Python file that exists."""
    path = existing_file(text, key, source)
    if path.suffix != ".py":
        raise source.error(key, f"got {shown(text)}, allowed is a Locust file ending in .py; correct the path")
    return str(path)


def load_shape(text: str, key: Key, source: Source) -> str:
    """Return `FILE:CLASS` with the absolute path of a Python file that exists."""
    file, _, name = text.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise source.error(
            key, f'got {shown(text)}, allowed is a file and its LoadTestShape such as "shapes.py:Steps"; correct it'
        )
    return f"{existing_file(file, key, source)}:{name}"


SOCKET_PATH_BYTES = 103
"""Longest path of a Unix socket on every system (Linux: 107)."""


def base_url(text: str, allow_remote: Collection[str], key: Key, source: Source) -> str:
    """Return scheme, host and port of a server that may be put under load: on this machine, or in `allow_remote`.

    Of a server on a Unix socket it is `unix:` and the socket's absolute path.
    """
    if text.startswith(UNIX):
        return _unix_socket(text, key, source)
    try:
        parts = urlsplit(text)
        (parts.hostname or "").encode("idna")
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isprintable() or " " in text:
        like = meant_url(text)
        advice = f'its scheme is missing; write "{like}"' if like else "correct it"
        raise source.error(key, f'got {shown(text)}, allowed is a URL such as "http://127.0.0.1:9000"; {advice}')
    port = _port(parts)
    if port == 0:
        raise source.error(key, f"got {shown(text)}, but a port is a number from 1 to 65535; correct it")
    if parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise source.error(key, f"got {shown(text)}, allowed are scheme, host and port alone; put a path into endpoint")
    host = parts.hostname
    if not is_loopback(host) and host not in {name.lower() for name in allow_remote}:
        raise source.error(
            key,
            f"got {shown(text)}, allowed are servers on this machine; if {host} is yours to load, "
            f"add --allow-remote {host}",
        )
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}{f':{port}' if port is not None else ''}"


def _port(parts: SplitResult) -> int | None:
    """The port; None: it names none; 0: there is no such port."""
    try:
        return parts.port
    except ValueError:
        return 0


def _unix_socket(text: str, key: Key, source: Source) -> str:
    name = text.removeprefix(UNIX).removeprefix("//")
    if not name or not name.isprintable() or name.endswith("/"):
        raise source.error(key, f'got {shown(text)}, allowed is the path of a socket such as "unix:/run/app.sock"')
    path = os.path.normpath(source.folder / name)
    size = len(os.fsencode(path))
    if size > SOCKET_PATH_BYTES:
        raise source.error(
            key,
            f"the path {path} has {size} bytes, a socket's may have {SOCKET_PATH_BYTES}; make a shorter link",
        )
    return UNIX + path


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: 127.0.0.0/8, ::1 or localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def started_in(app_dir: Path, cwd: Path | None) -> Path | None:
    """The working directory of an app that a command line names; None: its folder.

    `--app-dir src` is given where `uvicorn --app-dir src` is: in the project's root, whose .env the app reads.
    """
    here, folder = Path.cwd(), app_dir.resolve()
    is_root = folder != here and folder.is_relative_to(here) and (here / DOTENV).is_file()
    return here if cwd is None and is_root and not (folder / DOTENV).exists() else cwd
