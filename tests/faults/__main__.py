"""`python -m tests.faults`, from the root of a checkout."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests import each other as pytest lets them: `faults`, `support`

if __name__ == "__main__":
    sys.exit(importlib.import_module("faults.campaign").main())
