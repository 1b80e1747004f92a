"""Small apps in an interpreter of their own, watched as the probe watches: what they print of their resources."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.probe import PACKAGE

START = """
import importlib, json, sys, traceback
from loopwise_places import Places
from loopwise_waits import watching

home, number = sys.argv[1], int(sys.argv[2])
watching.watch(Places(home, sys.argv[3]))
sys.path.insert(0, home)
import tools

for tools.name in (f"shop{each}" for each in range(number)):
    tools.printed = None
    try:
        importlib.import_module(tools.name)
    except Exception:
        tools.printed = traceback.format_exc()
    print(json.dumps(tools.printed).replace(tools.name, "shop"))
"""
TOOLS = '''
import asyncio, json, threading, time
from loopwise_waits import watching

def told():
    """Figures of the resources that this app has made."""
    return [each._asdict() for each in watching.sample() if each.made_at.startswith(name + ".py:")]

def show(found):
    """Hand the test what was found."""
    global printed
    printed = found

def is_reached(waiting, found, end_s):
    return sum(each["waiting"] for each in found) == waiting or time.monotonic() > end_s

def tell(waiting):
    """Show the figures as soon as so many wait."""
    end_s = time.monotonic() + 20
    while not is_reached(waiting, found := told(), end_s):
        time.sleep(0.001)
    show(found)

async def tell_async(waiting):
    end_s = time.monotonic() + 20
    while not is_reached(waiting, found := told(), end_s):
        await asyncio.sleep(0.001)
    show(found)

def start(number, call):
    """Call it in so many threads."""
    for _ in range(number):
        threading.Thread(target=call, daemon=True).start()
'''


FAKES = Path(__file__).with_name("site-packages")
"""Small libraries with the names of those that the probe knows, and what it knows of them."""


def watched(folder: Path, apps: Sequence[str], files: Mapping[str, str] | None = None) -> list[Any]:
    """Run apps, one after the other in one interpreter, and return what each has shown, or its traceback.

    Args:
        folder: where they lie.
        apps: sources of shop.py, which may use `tell`, `tell_async`, `told`, `show` and `start`.
        files: sources by path: libraries that they find installed, besides FAKES or in place of them.
    """
    probes, home, installed = (folder / name for name in ("probes", "home", "site-packages"))
    shutil.copytree(PACKAGE / "waits", probes / "loopwise_waits", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "blame" / "places.py", probes / "loopwise_places.py")
    (probes / "tools.py").write_text(TOOLS, encoding="utf-8")
    home.mkdir()
    shutil.copytree(FAKES, installed, ignore=shutil.ignore_patterns("__pycache__"))
    for number, app in enumerate(apps):
        (home / f"shop{number}.py").write_text(f"from tools import *\n{app}\n", encoding="utf-8")
    for path, source in (files or {}).items():
        (installed / path).parent.mkdir(parents=True, exist_ok=True)
        (installed / path).write_text(source, encoding="utf-8")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (probes, installed)))}
    command = [sys.executable, "-W", "error", "-c", START, str(home), str(len(apps)), str(probes)]
    done = subprocess.run(command, check=False, env=env, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
