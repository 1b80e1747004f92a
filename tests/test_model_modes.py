"""The table of modes: the target app's, with what limits each."""

import pytest
from support.fakes import case_of

from loopwise.analysis.causes import CAUSES
from loopwise.model import Part, Server
from loopwise.model.modes import MIX, MODES, OWN, mode_named, uses_pool
from target_app import modes as target_modes


def test_the_table_lists_the_modes_of_the_target_app() -> None:
    assert list(MODES) == list(target_modes.MODES)


@pytest.mark.parametrize("name", MODES)
def test_a_mode_with_slots_has_words_and_a_cause_for_them(name: str) -> None:
    mode = MODES[name]
    assert (mode.slots is None) == (not mode.limited)
    assert (mode.slots is None) == (name not in {cause.mode for cause in CAUSES.values()})


def test_slots_follow_the_settings_of_the_server() -> None:
    server = Server(threads=7, pool_processes=3)
    slots = {name: mode.slots(server, 4) for name, mode in MODES.items() if mode.slots}
    assert slots == {"sync": 7, "blocking": 1, "to_thread": 8, "process": 3}


def test_people_never_read_the_word_own() -> None:
    assert "own" not in {OWN.shown, OWN.words}
    assert mode_named("own") is OWN


def test_a_mode_of_another_version_keeps_its_name() -> None:
    assert mode_named("subinterpreter").shown == "subinterpreter"


def test_a_mix_uses_the_pool_if_one_of_its_parts_does() -> None:
    parts = (Part(workload="sleep", mode="async"), Part(workload="cpu", mode="process"))
    assert uses_pool(case_of("c", MIX.name, parts=parts))
    assert not uses_pool(case_of("c", MIX.name, parts=parts[:1]))
