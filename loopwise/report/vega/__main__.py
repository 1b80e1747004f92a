"""Makes vega.js.gz anew from the installed vl-convert-python: `python -m loopwise.report.vega`, after an upgrade."""

import gzip
from pathlib import Path

import vl_convert

SNIPPET = "window.loopwiseEmbed = vegaEmbed;"
"""What the script leaves behind: all that the explorer calls."""


def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    return str(vl_convert.javascript_bundle(SNIPPET))


if __name__ == "__main__":
    path = Path(__file__).with_name("vega.js.gz")
    path.write_bytes(gzip.compress(bundle().encode(), compresslevel=9, mtime=0))
    print(f"wrote {path}: {path.stat().st_size:,} bytes")
