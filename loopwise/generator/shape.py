"""The load shape of declared load: a LoadTestShape of the user's, whose every answer is validated."""

import math
from pathlib import Path
from typing import Any

from locust.env import Environment

from loopwise.errors import GeneratorError
from loopwise.generator.script import load_shape, refusing
from loopwise.model import MAX_USERS

Tick = tuple[int, float]
"""Users, and users that are spawned or stopped per second."""


class DeclaredShape:
    """A load shape for Locust's runner, in place of the user's own, whose answers it checks.

    Args:
        text: `FILE:CLASS`.

    Raises:
        GeneratorError: the file can't be loaded, or the class is none of its load shapes.
    """

    def __init__(self, text: str) -> None:
        file, _, self._name = text.rpartition(":")
        self._path = Path(file)
        self._shape = load_shape(self._path, self._name)
        self._last: Tick | None = (0, 1.0)
        self.failure = ""
        """Why its last answer can't be followed: one sentence, or nothing."""

    @property
    def runner(self) -> Any:
        """Locust's runner, for the shape's get_current_user_count()."""
        return self._shape.runner

    @runner.setter
    def runner(self, runner: Any) -> None:
        self._shape.runner = runner

    def reset_time(self) -> None:
        """Start its clock."""
        self._shape.reset_time()

    def tick(self) -> Tick | None:
        """The users that it wants now; None: it ends the load. After a failure nothing changes any more."""
        if not self.failure:
            try:
                self._last = self._asked()
            except GeneratorError as error:
                self.failure = f"load.shape: {error}"
        return self._last

    def try_once(self) -> None:
        """Ask it as at the load's start.

        Raises:
            GeneratorError: it fails, or its answer can't be followed.
        """
        environment = Environment(user_classes=[])
        self.runner = environment.create_local_runner()
        self.reset_time()
        if self._asked() is None:
            raise self._refusal("None at the load's start", "users and users per second")

    def _asked(self) -> Tick | None:
        with refusing(self._path, f"tick() of {self._name} failed"):
            answer = self._shape.tick()
        if answer is None:
            return None
        if not isinstance(answer, tuple | list) or len(answer) not in (2, 3):
            raise self._refusal(repr(answer), "users and users per second, such as (10, 5)")
        users, rate, *classes = answer
        if any(classes):
            raise self._refusal("user classes", "users and users per second alone, for declared load has one class")
        if not isinstance(users, int) or isinstance(users, bool) or not 0 <= users <= MAX_USERS:
            raise self._refusal(f"{users!r} users", f"a whole number from 0 to {MAX_USERS}")
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < math.inf:
            raise self._refusal(f"{rate!r} users per second", "a number above 0")
        return users, float(rate)

    def _refusal(self, got: str, allowed: str) -> GeneratorError:
        return GeneratorError(
            f"{self._path.name}: tick() of {self._name} returned {got}, allowed is {allowed}; correct it"
        )
