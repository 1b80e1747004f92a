"""The folder of a comparison, its comment for a pull request, and the index of results."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from support.compare import result_in, sides, summary_with_cases, verdicts_on
from support.fakes import measured
from support.report import HOSTILE

from loopwise.analysis.gates import Outcome, parse_gate
from loopwise.errors import UsageError
from loopwise.report.comparison import (
    ALLOWED,
    ONLY_SHOWN,
    difference_lines,
    gate_lines,
    headline,
    only_in,
    sides_of,
)
from loopwise.report.export.markdown import pull_request_comment
from loopwise.report.html.compare import file_name, write_comparison
from loopwise.report.html.index import existing, write_index
from loopwise.report.listing import result_rows
from loopwise.report.words import case_names

NASTY = ("<script>alert(1)</script>", "a'b\"c", "../../etc/passwd", "日本語 🚀", "x" * 300)
GATES = (
    parse_gate("throughput_rps:-5%"),
    parse_gate("service_time_p99_ms:+200%"),
    parse_gate("throughput_rps:-90%"),
)
DIFFERENT = (("memory_gb", None, 8), ("versions.uvicorn", "0.40", "0.41<b>"))


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> Iterator[dict[str, str | None]]:
        yield from (attributes for name, attributes in self.tags if name == tag)


def test_the_headline_names_the_clearest_changes() -> None:
    compared = sides(7)
    outcome = compared[1].outcome
    assert outcome is not None
    said = headline(outcome, case_names(compared[0].summary))
    assert said == (
        "Of 28 comparisons, 8 got worse: most of all requests a second of sleep(ms=50) sync, 1 worker ×0.710 "
        "[0.640, 0.790]; 8 got better: most of all requests a second of sleep(ms=50) blocking, 1 worker ×1.62 "
        "[1.41, 1.86]; 8 are the same within ±5 %; 4 are undecided, their intervals too wide to tell."
    )


def test_a_headline_without_a_change_says_so() -> None:
    verdicts = tuple(v for v in verdicts_on(summary_with_cases(1)) if v.verdict == "same")
    assert headline(Outcome("a", "b", verdicts, 0.05, 0.95)) == (
        "Of 4 comparisons, nothing got better or worse; 4 are the same within ±5 %."
    )


def test_a_gate_is_passed_failed_or_not_judged_with_its_sentences() -> None:
    passed, failed = (gate_lines(sides(7, gates=(gate,)))[0] for gate in (GATES[2], GATES[0]))
    assert (passed.state, passed.sentences) == ("passed", ["7 cases, none surely beyond it"])
    assert failed.state == "failed"
    assert len(failed.sentences) == 2
    (open_,) = gate_lines(sides(7, invalid="all", gates=GATES[:1]))
    assert (open_.state, len(open_.sentences)) == ("not judged", 7)


def test_differences_show_both_values_and_their_effect() -> None:
    lines = {line.key: line for line in difference_lines(sides(1, different=DIFFERENT))}
    assert lines["memory_gb"].values == ["none", "8"]
    assert lines["memory_gb"].effect == ONLY_SHOWN
    assert lines["versions.uvicorn"].effect == ALLOWED


def test_cases_of_one_result_alone_are_named() -> None:
    seven, one = summary_with_cases(7), summary_with_cases(1)
    outcome = sides(1)[1].outcome
    assert outcome is not None
    found = dict(only_in(sides_of(seven, "a", [(one, outcome)])))
    assert set(found) == {"A"}
    assert len(found["A"]) == 6


def test_a_comparison_is_written_the_same_every_time(tmp_path: Path) -> None:
    compared = sides(7, "plain", "some", gates=GATES, different=DIFFERENT)
    paths = [tmp_path / "results" / side.name for side in compared]
    written = write_comparison(compared, paths, tmp_path / "a")
    assert [path.name for path in written] == [
        "compare.html", "compare.json", "forest.svg", "forest.png",
        "overlay-throughput.svg", "overlay-throughput.png", "overlay-latency.svg", "overlay-latency.png",
    ]  # fmt: skip
    again = write_comparison(compared, paths, tmp_path / "b")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    document = json.loads((tmp_path / "a" / "compare.json").read_text(encoding="utf-8"))
    assert (document["base"], [each["name"] for each in document["others"]]) == ("before", ["after"])
    page = Elements(written[0].read_text(encoding="utf-8"))
    text = " ".join(page.text)
    assert "Of 25 comparisons" in text
    assert "allowed by --allow-different" in text
    rows = [attributes["data-verdict"] for attributes in page.of("tr") if "data-verdict" in attributes]
    assert len(rows) == 25
    charts = [attributes for attributes in page.of("svg") if attributes.get("role") == "img"]
    assert len(charts) == 2 + 2 * 2
    assert all(attributes["aria-label"] for attributes in charts)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_several_results_are_each_set_against_the_base(tmp_path: Path) -> None:
    compared = sides(1, called=("before", "same/name", "same name"), gates=GATES[:1])
    written = write_comparison(compared, [tmp_path] * 3, tmp_path / "out")
    assert [path.stem for path in written if path.name.startswith("forest")] == [
        "forest-b-same_name", "forest-b-same_name", "forest-c-same_name", "forest-c-same_name",
    ]  # fmt: skip
    text = written[0].read_text(encoding="utf-8")
    assert "3 results compared" in text
    assert all(f"Verdicts on {letter} against A" in text for letter in "BC")


@pytest.mark.parametrize("name", [HOSTILE, *NASTY])
def test_a_name_is_text_and_never_markup_a_path_or_a_link(name: str, tmp_path: Path) -> None:
    compared = sides(7, "hostile", "some", called=(name, name), different=(("k", name, name),))
    written = write_comparison(compared, [tmp_path / "r"] * 2, tmp_path / "out")
    assert all(path.parent == tmp_path / "out" for path in written)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    html = written[0].read_text(encoding="utf-8")
    page = Elements(html)
    assert not [attributes for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert len(list(page.of("script"))) == 2
    assert "\x1b" not in html
    (policy,) = (each["content"] for each in page.of("meta") if each.get("http-equiv"))
    assert re.match(r"default-src 'none'; script-src 'sha256-[^;]+; style-src", str(policy))
    assert all(str(attributes.get("href", "#")).startswith(("#", "./")) for attributes in page.of("a"))


@pytest.mark.parametrize(
    ("text", "name"),
    [("../../x", "x"), ("", "result"), ("a b/c", "a_b_c"), ("日本", "result"), ("y" * 90, "y" * 60)],
)
def test_a_file_is_never_named_as_a_path(text: str, name: str) -> None:
    assert file_name(text) == name


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^--out: .* can't be written"):
        write_comparison(sides(1), [tmp_path] * 2, tmp_path / "file")


def test_a_comment_is_short_and_fits_any_comparison() -> None:
    outcomes = []
    for compared in (sides(100, "hostile", "some", called=(HOSTILE, HOSTILE), gates=GATES), sides(100)):
        assert compared[1].outcome is not None
        outcomes.append(compared[1].outcome)
    text = pull_request_comment([outcomes[1]])
    before, _, folded = text.partition("<details>")
    assert len([line for line in before.splitlines() if line.startswith("| ")]) == 1 + 10
    assert "<summary>All 400 comparisons</summary>" in folded
    assert "300 more comparisons are left out" in folded
    assert "Of 400 comparisons, 100 got worse" in before
    assert len(pull_request_comment(outcomes * 3)) < 65_536
    assert "<script" not in pull_request_comment(outcomes)


def test_a_comment_names_differences_and_unshared_cases() -> None:
    outcome = Outcome("main", "mine", (), 0.05, 0.95, (), DIFFERENT, (("gone",), ()))
    text = pull_request_comment([outcome])
    assert "- versions.uvicorn: 0.40 before, 0.41&lt;b&gt; now (allowed)" in text
    assert "- memory\\_gb: None before, 8 now\n" in text
    assert "<summary>1 case in main alone</summary>" in text
    assert "in mine alone" not in text


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two good results, one whose table is damaged, one that is damaged altogether, and a comparison."""
    folder = tmp_path / "results"
    monkeypatch.chdir(tmp_path)
    result_in(folder, "old", label="<b>'x'", created_at="2026-01-01T00:00:00Z", answers=("old: use def.", "more"))
    result_in(folder, "new one", created_at="2026-03-01T00:00:00Z", answers=("new: use async def.",))
    half = result_in(folder, "half", created_at="2026-02-01T00:00:00Z")
    (half.path / "summary.json").write_text("{", encoding="utf-8")
    (half.path / "report.html").unlink()
    (folder / "bad").mkdir()
    (folder / "bad" / "experiment.json").write_text("{", encoding="utf-8")
    write_comparison(sides(1, called=("old", "new one")), [folder / "old"] * 2, folder / "compare-1")
    (folder / "compare-2").mkdir()
    (folder / "compare-2" / "compare.json").write_text('{"others": 3}', encoding="utf-8")
    return folder


def index_of(folder: Path, path: Path | None = None) -> str:
    written = write_index(result_rows(folder), folder, path or folder / "index.html", program=["python", "bench.py"])
    return written.read_text(encoding="utf-8")


def test_the_index_is_newest_first_and_names_damaged_results(results: Path) -> None:
    html = index_of(results)
    names = re.findall(r'<th scope="row" class="name" data-value="([^"]+)"', html)
    assert names == ["new one", "half", "old", "bad"]
    text = " ".join(Elements(html).text)
    for said in (
        "new: use async def.",
        "old: use def.",
        "Example CPU, 2 cores",
        "bad/experiment.json: cannot be read",
    ):
        assert said in text
    assert "summary.json can't be read" in text
    assert "more" not in [each.strip() for each in Elements(html).text]


def test_the_index_links_by_quoted_relative_paths(results: Path) -> None:
    for path in (results / "index.html", results.parent / "elsewhere.html"):
        page = Elements(index_of(results, path))
        links = [
            str(attributes["href"]) for attributes in page.of("a") if str(attributes.get("href", "#")).startswith("./")
        ]
        assert len(links) == 3
        assert all((path.parent / unquote(link)).is_file() for link in links)
        assert any("new%20one/report.html" in link for link in links)


def test_readable_results_can_be_picked_as_shell_words(results: Path) -> None:
    page = Elements(index_of(results))
    boxes = {str(each["value"]): str(each["data-argument"]) for each in page.of("input") if "value" in each}
    assert set(boxes) == {"new one", "half", "old"}
    for name, argument in boxes.items():
        assert shlex.split(argument) == [f"results/{name}"]


def test_a_result_without_rows_is_listed_and_cannot_be_picked(results: Path) -> None:
    shutil.rmtree(results / "old" / "runs")
    page = Elements(index_of(results))
    assert {each["value"] for each in page.of("input") if "value" in each} == {"new one", "half"}


def test_a_comparison_is_known_by_the_results_it_compared(results: Path) -> None:
    (known,) = existing(results, results)
    assert (known.folder, known.names) == ("compare-1", ["old", "new one"])
    assert known.headline.startswith("Of 4 comparisons")


@pytest.mark.parametrize("label", NASTY)
def test_labels_are_text_in_the_index(label: str, results: Path) -> None:
    result_in(results, "nasty", label=label, created_at=f"2026-04-01T00:00:00Z{label}", answers=(label,))
    html = index_of(results)
    page = Elements(html)
    assert len(list(page.of("script"))) == 4
    assert not [attributes for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert label.strip()[:200] in " ".join(page.text)


def test_an_index_of_nothing_says_how_to_begin(tmp_path: Path) -> None:
    page = write_index([], tmp_path / "results", tmp_path / "results" / "index.html", program=["loopwise"])
    assert "No results yet" in page.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match=r"^--out: .* can't be written"):
        write_index([], tmp_path, tmp_path / "none" / "x.html", program=["loopwise"])


def test_a_result_on_fakes_is_listed_with_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(tmp_path / "r")
    (row,) = result_rows(tmp_path)
    said: dict[str, Any] = {key: row[key] for key in ("suite", "cases", "label", "machine", "answer", "problem")}
    assert said == {
        "suite": "fake", "cases": 3, "label": "", "machine": "Example CPU, 2 cores", "answer": "", "problem": "",
    }  # fmt: skip
