"""The explorer's library: Vega, Vega-Lite and Vega-Embed in one script, out of the package vl-convert-python.

Making the script takes a second and a hundred megabytes, so it is kept, packed, in the user's cache folder, one file
per version of the package. Where nothing can be written it is made for each report.
"""

import gzip
import importlib.metadata
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

PACKAGE = "vl-convert-python"
NAME = b"loopwiseEmbed"
"""What the script leaves behind: all that the explorer calls."""


@cache
def packed() -> bytes:
    """The script, by gzip; the same bytes from the same version of the package."""
    kept = cache_file()
    with suppress(OSError, EOFError, gzip.BadGzipFile):
        found = kept.read_bytes()
        if NAME in gzip.decompress(found):
            return found
    made = make()
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_name(f".{kept.name}.{os.getpid()}")
        beside.write_bytes(made)
        beside.replace(kept)  # nobody ever reads half of it
    return made


def make() -> bytes:
    """The script, made anew."""
    import vl_convert  # noqa: PLC0415 - heavy, and needed once

    return gzip.compress(
        str(vl_convert.javascript_bundle(f"window.{NAME.decode()} = vegaEmbed;")).encode(),
        compresslevel=9,
        mtime=0,
    )


def cache_file() -> Path:
    """Where the script is kept: `$XDG_CACHE_HOME/loopwise/`, or `~/.cache/loopwise/`."""
    folder = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    version = importlib.metadata.version(PACKAGE)
    return Path(folder).expanduser() / "loopwise" / f"vega-{version}.js.gz"
