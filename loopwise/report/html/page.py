"""The base of every page: one HTML file with everything in it, which makes no network request.

A page is a template that extends `base.html.j2`, its style sheets and its scripts, all in templates/. The page's
Content-Security-Policy allows only scripts whose hashes it names, so that a foreign text which got into the markup
would never run.
"""

import json
import math
import os
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from loopwise.report.charts.kit.chart import ChartFile
from loopwise.report.charts.kit.style import MODES
from loopwise.report.words import ICONS
from loopwise.results.files import write_atomically
from loopwise.visible import clean

HEAD_SCRIPT = "theme.js"
_BACKTICKED = re.compile(r"`([^`]+)`")


def render(
    template: str,
    contents: Mapping[str, Any],
    *,
    title: str,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    allowed: Sequence[str] = (),
) -> str:
    """Render a page. Names and reasons come from outside and stay text whatever they hold.

    Args:
        template: name of a template that extends base.html.j2.
        contents: the template's variables; strings are escaped, Markup is not.
        title: for the browser's tab, before the program's name.
        styles: names of style sheets to add to base.css.
        scripts: names of scripts that run at the end of the page, in this order.
        allowed: exact text of further scripts that those may start.
    """
    texts = [source(name) for name in scripts]
    head = source(HEAD_SCRIPT)
    return (
        _environment()
        .get_template(template)
        .render(
            {
                **contents,
                "title": title,
                "navigation": [],
                "policy": policy((head, *texts, *allowed)),
                "css": Markup("\n".join([*map(source, ("base.css", *styles)), _mode_colours()])),
                "head_script": Markup(head),
                "end_scripts": [Markup(text) for text in texts],
            }
        )
    )


def write(page: str, path: Path) -> Path:
    """Write a page in one step: a browser that has the old one open never reads half a new one."""
    write_atomically(path, page)
    return path


def link(target: Path, folder: Path) -> str:
    """A relative link from a page in the folder, whatever characters the path has; empty if there is no such file."""
    if not target.is_file():
        return ""
    relative = os.path.relpath(target.resolve(), folder.resolve())
    # Without `./` a first part with a colon would be a scheme.
    return "./" + quote(os.fsencode(relative))


def policy(scripts: Sequence[str]) -> str:
    """A Content-Security-Policy that allows exactly these scripts and no request.

    Styles stay 'unsafe-inline': charts and bars carry style attributes, and no hash can allow an attribute.
    """
    hashes = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def inline_chart(chart: ChartFile) -> dict[str, Any]:
    """A chart for the macro `chart`: its name, title, caption and panels."""
    panels = [panel.element(f"{chart.name}-{index}-") for index, panel in enumerate(chart.panels)]
    return {"name": chart.name, "title": chart.title, "caption": chart.caption, "panels": panels}


def data(value: Any) -> Markup:
    """A value as JSON for a `<script type="application/json">`, in which no text can end the element.

    Numbers that are not finite become null: JSON has none.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


@cache
def source(name: str) -> str:
    """The text of a file in templates/."""
    return (files("loopwise.report.html") / "templates" / name).read_text(encoding="utf-8").rstrip("\n")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["verdict_icons"] = ICONS
    environment.filters["code"] = _with_code
    return environment


def _mode_colours() -> str:
    return "\n".join(f".mode-{mode} {{ --mode: {style.colour}; }}" for mode, style in MODES.items())


def _printable(value: Any) -> Any:
    # Markup is ours; foreign text may hold characters that break a file or reverse the reading order.
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _with_code(value: Any) -> Any:
    """What stands between backticks in a text as code; other text is escaped, markup stays as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return Markup(_BACKTICKED.sub(r"<code>\1</code>", str(escape(clean(value)))))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, str):
        return clean(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
