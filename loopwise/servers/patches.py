"""An app with an edit of its source: what its server is given, and whether the edit has been run."""

import json
import os
import shutil
from pathlib import Path

from loopwise.errors import EndpointError
from loopwise.model import Case
from loopwise.paths import target_app_dir
from loopwise.servers.diffs import edited

PACKAGE = "loopwise_patches"
"""Name of target_app/patches in the folder that the server's processes import it from."""
HOOK = "sitecustomize.py"
"""Imported by every Python process at its start."""
MANIFEST = "manifest.json"
IMPORTED = ".imported"
REFUSED = f"{PACKAGE}: "
"""Begins the line of the server's log that says why the edit can't be measured (target_app/patches/hook.py)."""


def install(case: Case, scratch: Path) -> None:
    """Put the edited text, and the hook that compiles it, where the app's interpreter finds them.

    Raises:
        ServerError: the files are not those that the patch was made from.
    """
    if case.patch is None or case.app is None:
        return
    source = target_app_dir() / "target_app" / "patches"
    ignored = shutil.ignore_patterns("__pycache__", HOOK)
    shutil.copytree(source, scratch / PACKAGE, ignore=ignored, dirs_exist_ok=True)
    shutil.copy(source / HOOK, scratch)
    folder = _folder(scratch)
    folder.mkdir(exist_ok=True)
    manifest = []
    for number, (file, content) in enumerate(edited(case.patch, case.app.app_dir).items()):
        (folder / _text(number)).write_bytes(content)
        path = Path(os.path.realpath(case.app.app_dir), file.path)
        manifest.append(
            {
                "path": os.path.realpath(path),
                "shown": file.path,
                "sha256": file.sha256,
                "text": _text(number),
                "patch": case.patch.name,
            }
        )
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def variables(case: Case, scratch: Path) -> dict[str, object]:
    """The variable that names the edited texts to the hook; none where the app is served as written."""
    return {"LOOPWISE_PATCHES": None if case.patch is None else _folder(scratch)}


def edited_texts(case: Case, scratch: Path) -> dict[str, str]:
    """Real path of each edited file -> path of the text that is run instead, while the server is there."""
    if case.patch is None:
        return {}
    manifest = json.loads((_folder(scratch) / MANIFEST).read_text(encoding="utf-8"))
    return {each["path"]: str(_folder(scratch) / each["text"]) for each in manifest}


def refuse_unused(case: Case, scratch: Path) -> None:
    """Refuse a server that has run nothing of a file's edited text.

    Raises:
        EndpointError: no process has imported it.
    """
    if case.patch is None:
        return
    for number, file in enumerate(case.patch.files):
        if not (_folder(scratch) / f"{_text(number)}{IMPORTED}").exists():
            raise EndpointError(
                f"{case.patch.name} changes {file.path}, which was never imported, so nothing of it would be measured; "
                "ask an endpoint that needs it, or leave that file out of the diff"
            )


def _folder(scratch: Path) -> Path:
    return scratch / "loopwise_patched"


def _text(number: int) -> str:
    return f"{number}.py"
