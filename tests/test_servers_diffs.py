"""Diffs as people write them, applied to an app's files in memory."""

import hashlib
from pathlib import Path

import pytest

from loopwise.errors import ServerError
from loopwise.servers.diffs import DiffError, edited, patch_of

FILES = {
    "src/shop/__init__.py": b"",
    "src/shop/main.py": b"import time\n\n\nasync def slow():\n    time.sleep(1)\n    return 1\n",
    "src/shop/windows.py": b"a = 1\r\nb = 2\r\n",
    "src/shop/bare.py": b"a = 1\nb = 2",
    "lib/tool.py": b"a = 1\n",
    "README.md": b"shop\n",
}
HUNK = """\
@@ -4,3 +4,3 @@
-async def slow():
+def slow():
     time.sleep(1)
     return 1
"""
NEW = "--- /dev/null\n+++ {}\n@@ -0,0 +1 @@\n+X = 1\n"

# the diff -> path from the app's folder, and its text
APPLIED = {
    "git diff, from the repository's root": (
        f"diff --git a/src/shop/main.py b/src/shop/main.py\n--- a/src/shop/main.py\n+++ b/src/shop/main.py\n{HUNK}",
        {"shop/main.py": b"import time\n\n\ndef slow():\n    time.sleep(1)\n    return 1\n"},
    ),
    "the same without a/ and b/": (
        f"--- src/shop/main.py\n+++ src/shop/main.py\n{HUNK}",
        {"shop/main.py": b"import time\n\n\ndef slow():\n    time.sleep(1)\n    return 1\n"},
    ),
    "git diff --relative, from the app's folder": (
        f"--- a/shop/main.py\n+++ b/shop/main.py\n{HUNK}",
        {"shop/main.py": b"import time\n\n\ndef slow():\n    time.sleep(1)\n    return 1\n"},
    ),
    "diff -u, with times": (
        f"--- shop/main.py\t2026-01-01 10:00:00\n+++ shop/main.py\t2026-01-02 10:00:00\n{HUNK}",
        {"shop/main.py": b"import time\n\n\ndef slow():\n    time.sleep(1)\n    return 1\n"},
    ),
    "a hunk that stands elsewhere by now": (
        f"--- shop/main.py\n+++ shop/main.py\n{HUNK.replace('-4,3 +4,3', '-40,3 +40,3')}",
        {"shop/main.py": b"import time\n\n\ndef slow():\n    time.sleep(1)\n    return 1\n"},
    ),
    "line ends of Windows": (
        "--- a/shop/windows.py\n+++ b/shop/windows.py\n@@ -1,2 +1,3 @@\n a = 1\r\n-b = 2\r\n+b = 3\r\n+c = 4\r\n",
        {"shop/windows.py": b"a = 1\r\nb = 3\r\nc = 4\r\n"},
    ),
    "no newline at the end, which is added": (
        "--- shop/bare.py\n+++ shop/bare.py\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n\\ No newline at end of file\n+b = 3\n",
        {"shop/bare.py": b"a = 1\nb = 3\n"},
    ),
    "no newline at the end, which stays": (
        "--- a/shop/bare.py\n+++ b/shop/bare.py\n@@ -1,2 +1 @@\n-a = 1\n b = 2\n\\ No newline at end of file\n",
        {"shop/bare.py": b"b = 2"},
    ),
    "new files": (
        NEW.format("b/src/shop/new/__init__.py") + NEW.format("b/src/shop/extra.py"),
        {"shop/extra.py": b"X = 1\n", "shop/new/__init__.py": b"X = 1\n"},
    ),
    "several files, one beside the app's folder": (
        f"--- a/src/shop/main.py\n+++ b/src/shop/main.py\n{HUNK}"
        "--- a/lib/tool.py\n+++ b/lib/tool.py\n@@ -1 +1 @@\n-a = 1\n+a = 2\n",
        {
            "../lib/tool.py": b"a = 2\n",
            "shop/main.py": b"import time\n\n\ndef slow():\n    time.sleep(1)\n    return 1\n",
        },
    ),
}

# the diff -> parts of the sentence
REFUSED = {
    "": ["it is no unified diff; write one by `git diff` or `diff -u`"],
    "hello\n": ["it is no unified diff"],
    f"--- a/shop/main.py\n+++ b/shop/main.py\n{HUNK.replace('sleep(1)', 'sleep(2)')}": [
        "line 3: hunk 1 of shop/main.py does not apply at line 4 of ",
        "/src/shop/main.py; make the diff anew from the file as it is now",
    ],
    f"--- a/src/shop/main.py\n+++ b/src/shop/main.py\n@@ -1,2 +1,2 @@\n-import time\n+import  time\n \n{HUNK}".replace(
        "sleep(1)", "sleep(2)"
    ): ["line 7: hunk 2 of src/shop/main.py does not apply at line 4 of "],
    f"--- a/shop/main.py\n+++ b/shop/main.py\n{HUNK}".removesuffix("     return 1\n"): [
        "line 7: the diff is cut off or was edited by hand there; make it anew"
    ],
    f"--- a/shop/none.py\n+++ b/shop/none.py\n{HUNK}": ["it does not apply in ", "shop/none.py: No such file"],
    NEW.format("b/shop/main.py"): ["shop/main.py: already exists"],
    "--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-shop\n+shops\n": [
        "it changes README.md, and only Python source can be changed in memory; leave that file out of the diff"
    ],
    "--- a/lib/tool.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-a = 1\n": ["it removes or renames lib/tool.py"],
    "diff --git a/lib/tool.py b/lib/other.py\nsimilarity index 100%\nrename from lib/tool.py\n"
    "rename to lib/other.py\n": ["it does not apply in "],
    NEW.format("b/../../evil.py"): ["../evil.py, which lies elsewhere"],
}


@pytest.fixture
def app_dir(tmp_path: Path) -> str:
    (tmp_path / ".git").mkdir()
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(tmp_path / "src")


@pytest.mark.parametrize("name", APPLIED)
def test_a_diff_gives_the_edited_text_and_changes_no_file(name: str, app_dir: str) -> None:
    text, expected = APPLIED[name]
    patch = patch_of("fix.diff", text, app_dir)
    assert {each.path: content for each, content in edited(patch, app_dir).items()} == expected
    for each in patch.files:
        before = FILES.get(str(Path("src", each.path)).replace("src/../", ""))
        assert each.sha256 == (hashlib.sha256(before).hexdigest() if before is not None else None)
    root = Path(app_dir).parent
    assert {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()} == FILES


@pytest.mark.parametrize("text", REFUSED)
def test_a_diff_that_can_not_be_applied_is_one_sentence(text: str, app_dir: str) -> None:
    with pytest.raises(DiffError) as refused:
        patch_of("fix.diff", text, app_dir)
    sentence = str(refused.value)
    assert all(part in sentence for part in REFUSED[text]), sentence
    assert "\n" not in sentence


def test_a_diff_that_is_in_force_already_changes_nothing(app_dir: str) -> None:
    with pytest.raises(DiffError, match="it changes nothing"):
        patch_of("fix.diff", "diff --git a/lib/tool.py b/lib/tool.py\nold mode 100644\nnew mode 100755\n", app_dir)


def test_files_that_have_changed_since_are_refused(app_dir: str) -> None:
    patch = patch_of("fix.diff", APPLIED["line ends of Windows"][0], app_dir)
    path = Path(app_dir, "shop/windows.py")
    path.write_bytes(path.read_bytes() + b"# more\r\n")
    with pytest.raises(ServerError, match=r"^fix.diff: shop/windows.py in .* is not the file .*; make it anew$"):
        edited(patch, app_dir)


def test_settings_of_git_and_a_repository_around_it_have_no_effect(
    app_dir: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.autocrlf=true'")
    patch = patch_of("fix.diff", APPLIED["line ends of Windows"][0], app_dir)
    assert [*edited(patch, app_dir).values()] == [b"a = 1\r\nb = 3\r\nc = 4\r\n"]


def test_without_git_the_sentence_says_so(app_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServerError, match="applied by git, which is not installed; install it"):
        patch_of("fix.diff", "--- a\n", app_dir)
