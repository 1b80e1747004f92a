"""The probe's files, loaded by themselves."""

import importlib.util
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parents[2] / "target_app"


def load_file(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"loopwise_{Path(name).stem}", PACKAGE / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
