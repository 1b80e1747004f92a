"""docs/claims.md: what one real run of the claims found, with its date and its machine."""

from collections.abc import Mapping
from pathlib import Path

from loopwise.claims.claim import Text
from loopwise.claims.opinion import crossover_words
from loopwise.claims.page import Entry, entries, first_measured
from loopwise.claims.sources import source_of
from loopwise.claims.tables import lesson_sentence
from loopwise.report.format import clean


def markdown(folder: Path, texts: Mapping[str, Text]) -> str:
    """The findings of an occasion as a document.

    Raises:
        ResultError: it has none.
    """
    found = entries(folder, texts)
    first = first_measured(found)
    lines = [
        "# Claims",
        "",
        "What is taught about `def` and `async def` in FastAPI, measured. This page is made by "
        "`python bench.py claims report --markdown docs/claims.md`; make your own with "
        "`python bench.py claims run --all`. How a verdict comes about: [method](method.md).",
        "",
        f"Measured on {first.measured_at[:10]}, on {first.machine}.",
        "",
        "| claim | what is said | verdict |",
        "|---|---|---|",
        *(
            f"| [{e.text.claim_id}](#{_anchor(e)}) | {_cell(e.text.statement)} | {e.finding.said} |"
            for e in found
        ),
        "",
    ]
    for each in found:
        lines += _section(each)
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(entry: Entry) -> list[str]:
    text, finding, _, _ = entry
    sentence = clean(finding.sentence)
    lines = [
        f"## {text.claim_id}: {text.statement.rstrip('.')}",
        "",
        f"**{finding.said.capitalize()}**: {sentence}.",
        "",
    ]
    facts = [
        ("From where on", crossover_words(finding.crossover) if finding.crossover else ""),
        ("Cause, by telemetry", finding.cause),
        ("What is true", text.truth),
        ("Why it is believed", text.belief),
        ("The experiment", text.experiment),
        ("What arithmetic says", text.prediction),
        ("In your own code", text.advice),
    ]
    lines += [f"- {name}: {clean(told)}" for name, told in facts if told]
    lines += [
        "",
        f"Suite: `scenarios/claims/{text.claim_id.lower()}.toml`. {lesson_sentence(finding)}".rstrip(),
        "",
    ]
    for heading, route in (("Wrong", text.wrong), ("Right", text.right)):
        lines += [f"{heading}:", "", "```python", source_of(route), "```", ""]
    return lines


def _anchor(entry: Entry) -> str:
    """The heading's anchor, as GitHub makes it."""
    heading = f"{entry.text.claim_id}: {entry.text.statement.rstrip('.')}".lower()
    return "".join(char for char in heading if char.isalnum() or char in "-_ ").replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
