"""Candidate edits of a blamed line: before and after, and refusals."""

from pathlib import Path

import pytest
from support.edits import marked, of_kind, whole

from loopwise.blame.edits import offer_for

# Name -> head, body, and both as they become; the body is that of `async def f()`.
THREADS = {
    "a call": (
        "import time\n",
        "«time.sleep(1)»",
        "import asyncio\nimport time\n",
        "await asyncio.to_thread(time.sleep, 1)",
    ),
    "an alias": (
        "import requests as r\n",
        "x = «r.get(u, timeout=5)».text",
        "import asyncio\n\nimport requests as r\n",
        "x = (await asyncio.to_thread(r.get, u, timeout=5)).text",
    ),
    "a name": (
        "from time import sleep\n",
        "«sleep(1)»",
        "import asyncio\n\nfrom time import sleep\n",
        "await asyncio.to_thread(sleep, 1)",
    ),
    "the alias of asyncio": (
        "import asyncio as aio\nimport time\n",
        "«time.sleep(1)»",
        "import asyncio as aio\nimport time\n",
        "await aio.to_thread(time.sleep, 1)",
    ),
    "to_thread itself": (
        "from asyncio import to_thread\nimport time\n",
        "«time.sleep(1)»",
        "from asyncio import to_thread\nimport time\n",
        "await to_thread(time.sleep, 1)",
    ),
    "asyncio hidden by a local": (
        "import time\n",
        "asyncio = 1\n    «time.sleep(1)»",
        "import asyncio as _asyncio\nimport time\n",
        "asyncio = 1\n    await _asyncio.to_thread(time.sleep, 1)",
    ),
    "no argument": (
        "import os\n",
        "return len(«app.state.file.read_bytes()»)",
        "import asyncio\nimport os\n",
        "return len(await asyncio.to_thread(app.state.file.read_bytes))",
    ),
    "a generator": (
        "",
        "return «sum(n * n for n in range(9))»",
        "import asyncio\n",
        "return await asyncio.to_thread(sum, (n * n for n in range(9)))",
    ),
    "a comprehension": (
        "import socket\n",
        "return len(«[socket.getaddrinfo('h', 80) for _ in range(9)]»)",
        "import asyncio\nimport socket\n",
        "return len(await asyncio.to_thread(lambda: [socket.getaddrinfo('h', 80) for _ in range(9)]))",
    ),
    "inside of a comprehension": (
        "import socket\n",
        "return len([«socket.getaddrinfo('h', 80)» for _ in range(9)])",
        "import asyncio\nimport socket\n",
        "return len(await asyncio.to_thread(lambda: [socket.getaddrinfo('h', 80) for _ in range(9)]))",
    ),
    "an operator": (
        "import numpy as np\n",
        "return («a @ b»).sum()",
        "import asyncio\n\nimport numpy as np\n",
        "return (await asyncio.to_thread(lambda: a @ b)).sum()",
    ),
    "a wait among the arguments": (
        "import time\n",
        "«time.sleep(await g())»",
        "import asyncio\nimport time\n",
        "await asyncio.to_thread(time.sleep, await g())",
    ),
    "a with": (
        "import os\n",
        "with «open(p)» as file:\n        return file",
        "import asyncio\nimport os\n",
        "with await asyncio.to_thread(open, p) as file:\n        return file",
    ),
    "arguments on lines of their own": (
        "import requests\n",
        "x = «requests.get(\n        u,  # first\n        timeout=5,\n    )»  # slow",
        "import asyncio\n\nimport requests\n",
        "x = await asyncio.to_thread(\n        requests.get,\n        u,  # first\n        timeout=5,\n    )  # slow",
    ),
    "characters of several bytes": (
        "import time\n",
        "x = 'äöü'; «time.sleep(1)»; y = 'ß'",
        "import asyncio\nimport time\n",
        "x = 'äöü'; await asyncio.to_thread(time.sleep, 1); y = 'ß'",
    ),
    "stars": (
        "import time\n",
        "«time.sleep(*a, **k)»",
        "import asyncio\nimport time\n",
        "await asyncio.to_thread(time.sleep, *a, **k)",
    ),
    "a power": (
        "import time\n",
        "return -«f()» ** 2",
        "import asyncio\nimport time\n",
        "return -await asyncio.to_thread(f) ** 2",
    ),
    "a chain over lines": (
        "import os\n",
        "return (\n        Path(p)\n        .«read_text()»\n        .strip()\n    )",
        "import asyncio\nimport os\n",
        "return (\n        (await asyncio.to_thread(Path(p)\n        .read_text))\n        .strip()\n    )",
    ),
    "a docstring and __future__": (
        '"""Text."""\n\nfrom __future__ import annotations\n\nimport json\nimport time\n',
        "«time.sleep(1)»",
        '"""Text."""\n\nfrom __future__ import annotations\n\nimport asyncio\nimport json\nimport time\n',
        "await asyncio.to_thread(time.sleep, 1)",
    ),
    "no import": (
        '"""Text."""\n\nx = 1\n',
        "«g()»",
        '"""Text."""\n\nimport asyncio\n\nx = 1\n',
        "await asyncio.to_thread(g)",
    ),
    "an import under a condition": (
        "import time\nif x:\n    import asyncio\n",
        "«time.sleep(1)»",
        "import asyncio as _asyncio\nimport time\nif x:\n    import asyncio\n",
        "await _asyncio.to_thread(time.sleep, 1)",
    ),
    "a connection of sqlite3": (
        "import sqlite3\n",
        "db = sqlite3.connect('x')\n    c = db.cursor()\n    «c.execute(q)»",
        "import asyncio\nimport sqlite3\n",
        "db = sqlite3.connect('x', check_same_thread=False)\n    c = db.cursor()\n    "
        "await asyncio.to_thread(c.execute, q)",
    ),
    "a local that is added to": (
        "",
        "x = 0\n    x += «g()»",
        "import asyncio\n",
        "x = 0\n    x += await asyncio.to_thread(g)",
    ),
}


@pytest.mark.parametrize("case", THREADS)
def test_a_call_on_the_loop_becomes_one_in_a_thread(case: str, tmp_path: Path) -> None:
    head, body, new_head, new_body = THREADS[case]
    edit = of_kind(offer_for(marked(tmp_path, whole(head, body)), tmp_path), "to_thread")
    assert edit.source == whole(new_head, new_body)
    assert "\n" not in edit.words


HEAD = "import asyncio\nimport json\nimport sqlite3\nimport time\n\nimport httpx\nimport requests\n"
POOL = """
_PROCESSES = concurrent.futures.ProcessPoolExecutor(
    mp_context=multiprocessing.get_context("spawn"),
    initializer=signal.signal,
    initargs=(signal.SIGINT, signal.SIG_IGN),
)
"""

# Name -> kind, body of `async def f()` after HEAD, the lines that go and come (without imports).
OTHERS = {
    "a pause": (
        "asyncio_sleep",
        "«time.sleep(a + b)»  # long",
        ["    time.sleep(a + b)  # long"],
        ["    await asyncio.sleep(a + b)  # long"],
    ),
    "a request": (
        "httpx",
        "r = «requests.post(u, json={}, timeout=5)»\n    return r.json()",
        ["    r = requests.post(u, json={}, timeout=5)"],
        [
            "_HTTPX = httpx.AsyncClient(",
            "    cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=())),",
            "    follow_redirects=True,",
            "    timeout=None,",
            ")",
            "    r = await _HTTPX.post(u, json={}, timeout=5)",
        ],
    ),
    "a query": (
        "aiosqlite",
        "with sqlite3.connect(p) as db:\n        return «db.execute('select 1', (x,))».fetchall()",
        [
            "    with sqlite3.connect(p) as db:",
            "        return db.execute('select 1', (x,)).fetchall()",
        ],
        [
            "    async with aiosqlite.connect(p) as db:",
            "        return await (await db.execute('select 1', (x,))).fetchall()",
        ],
    ),
    "a function of the standard library": (
        "process",
        "return «json.loads(text)»['x']",
        ["    return json.loads(text)['x']"],
        [
            *POOL.splitlines()[1:],
            "    return (await asyncio.get_running_loop().run_in_executor(_PROCESSES, json.loads, text))['x']",
        ],
    ),
    "named arguments": (
        "process",
        "return «json.dumps(x, indent=2)»",
        ["    return json.dumps(x, indent=2)"],
        [
            *POOL.splitlines()[1:],
            "    return await asyncio.get_running_loop().run_in_executor("
            "_PROCESSES, functools.partial(json.dumps, x, indent=2))",
        ],
    ),
    "a client": (
        "once",
        "client = «httpx.Client(timeout=9)»  # slow\n    return client.get(u)",
        ["    client = httpx.Client(timeout=9)  # slow"],
        ["client = httpx.Client(timeout=9)"],
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_candidates_change_these_lines_and_no_other(case: str, tmp_path: Path) -> None:
    kind, body, gone, come = OTHERS[case]
    line = marked(tmp_path, whole(HEAD, body))
    edit = of_kind(offer_for(line, tmp_path, {"httpx", "aiosqlite"}), kind)
    rows = [row for row in edit.diff.splitlines()[2:] if row.strip("+") and not row.startswith("+import ")]
    assert [row[1:] for row in rows if row.startswith("-")] == gone
    assert [row[1:] for row in rows if row.startswith("+")] == come


# Name -> kind, body of `async def f()` after HEAD, a part of the reason.
OTHERS_REFUSED = {
    "an answer that is passed on": ("httpx", "return «requests.get(u)»", "is passed on"),
    "an answer's own attribute": ("httpx", "return «requests.get(u)».ok", "differ in ok"),
    "an argument of requests alone": ("httpx", "return «requests.get(u, verify=False)».text", "differ in the argument"),
    "a pair as timeout": ("httpx", "return «requests.get(u, timeout=(1, 2))».text", "no number"),
    "an exception of requests": (
        "httpx",
        "try:\n        return «requests.get(u)».text\n    except requests.Timeout:\n        pass",
        "exceptions of requests",
    ),
    "a query that writes": (
        "aiosqlite",
        "with sqlite3.connect(p) as db:\n        «db.execute('insert into x')».fetchall()",
        "isn't known to read only",
    ),
    "two queries": (
        "aiosqlite",
        "with sqlite3.connect(p) as db:\n        «db.execute('select 1')».fetchall()\n        db.execute('select 2')",
        "isn't one call",
    ),
    "a connection that is used after its block": (
        "aiosqlite",
        "with sqlite3.connect(p) as db:\n        x = «db.execute('select 1')».fetchall()\n    db.execute('select 2')",
        "used after its block",
    ),
    "a method": ("process", "return «rows.sort()»", "isn't known to be a function"),
    "a class": ("process", "return «json.JSONDecoder()»", "isn't known to be a function"),
    "a local function": ("process", "g = f\n    return «g(1)»", "isn't known to be a function"),
    "a generator": ("process", "return «sum(x for x in y)»", "can't go to another process"),
    "an answer that can't be pickled": ("process", "return «open(x)»", "can't go to another process"),
    "a client that is closed": ("once", "client = «httpx.Client()»\n    client.close()", "is closed at line"),
    "a client of a request": ("once", "u = g()\n    client = «httpx.Client(base_url=u)»", "made of u"),
    "a client under a condition": ("once", "if x:\n        client = «httpx.Client()»", "in a block of its own"),
    "a client with a header": ("once", "client = «httpx.Client()»\n    client.headers = h", "set for each request"),
}


@pytest.mark.parametrize("case", OTHERS_REFUSED)
def test_other_candidates_are_refused_where_they_would_change_meaning(case: str, tmp_path: Path) -> None:
    kind, body, reason = OTHERS_REFUSED[case]
    offer = offer_for(marked(tmp_path, whole(HEAD, body)), tmp_path, {"httpx", "aiosqlite"})
    assert kind not in {each.kind for each in offer.edits}
    assert [reason in each.reason for each in offer.refused if each.kind == kind] == [True], offer.refused


@pytest.mark.parametrize("kind", ["httpx", "aiosqlite"])
def test_a_library_that_the_app_lacks_is_not_used(kind: str, tmp_path: Path) -> None:
    body = {"httpx": OTHERS["a request"], "aiosqlite": OTHERS["a query"]}[kind][1]
    offer = offer_for(marked(tmp_path, whole(HEAD, body)), tmp_path)
    assert [each.reason for each in offer.refused if each.kind == kind] == [f"the app's environment has no {kind}"]


# Name -> body of `async def f()`, a part of the reason.
REFUSED = {
    "an await": ("«await g()»", "what is awaited"),
    "a coroutine": ("await «g()»", "what is awaited"),
    "a lock": ("with state.lock:\n        «time.sleep(1)»", "state.lock would be held"),
    "a counter": ("state.count += «g()»", "would be lost"),
    "locals": ("return «locals()»", "locals looks at the function"),
    "next": ("return «next(rows)»", "StopIteration"),
    "a task": ("«asyncio.create_task(g())»", "needs the event loop"),
    "a signal": ("«signal.signal(1, g)»", "main thread"),
    "a connection of sqlite3": ("global db\n    db = sqlite3.connect('x', **k)\n    «db.execute('q')»", "(line 6)"),
    "making a connection of sqlite3": ("db = «sqlite3.connect('x')»", "would work in the thread alone"),
    "a comprehension that awaits": ("return «[g(await h(x)) for x in y]»", "it awaits"),
    "a walrus": ("return «[(last := g(x)) for x in y]»", "last is assigned inside"),
    "an assignment": ("«x» = 1", "without a call"),
    "an attribute that is set": ("«x.y» = 1", "without a call"),
    "entering a with": ("with «state.gate»:\n        pass", "where the block of state.gate is entered"),
    "a statement": ("«for x in y:\n        pass»", "a statement"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_mean_something_else_in_a_thread_is_refused(case: str, tmp_path: Path) -> None:
    body, reason = REFUSED[case]
    offer = offer_for(marked(tmp_path, whole("import asyncio, time, signal, sqlite3\n", body)), tmp_path)
    assert "to_thread" not in {each.kind for each in offer.edits}
    refused = [each for each in offer.refused if each.kind in {"to_thread", "expression"}]
    assert [reason in each.reason for each in refused] == [True], refused
