"""Texts of others in files for other programs: no formula, no markup, no character that the format forbids."""

import csv
import io
import json
import re
import string
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from support.fakes import FakeRow, case_of, new_result, run_of, suite_with, table_of
from support.report import fixture_summary

from loopwise.analysis.gates import Outcome, parse_gate
from loopwise.blame.findings import BlamedLine, Findings
from loopwise.blame.sarif import sarif
from loopwise.model import Verdict
from loopwise.report.build import build
from loopwise.report.export import tidy
from loopwise.report.export.formats import export
from loopwise.report.export.junit import junit
from loopwise.report.export.markdown import LINKED, escape, escape_html, pull_request_comment
from loopwise.report.export.spreadsheet import cell
from loopwise.report.export.tallies import CountingFolder
from loopwise.visible import clean, inert

FORMULAS = ["=cmd|' /C calc'!A1", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\n=1", "＝1"]
CELLS: list[tuple[object, object]] = [
    *((text, f"'{text}") for text in FORMULAS),
    ("GET /-", "GET /-"),
    ("", ""),
    ("a\r=1", r"a\x0d=1"),
    ("\x1b[31m", r"\x1b[31m"),
    (-2.5, -2.5),
    (-3, -3),
    (None, None),
]


@pytest.mark.parametrize(("value", "written"), CELLS)
def test_a_text_is_no_formula_and_a_number_stays_one(value: object, written: object) -> None:
    assert cell(value) == written


@pytest.mark.parametrize("text", FORMULAS)
def test_summary_csv_has_no_formula_and_keeps_negative_numbers(text: str) -> None:
    summary = fixture_summary(1)
    table = summary.table.assign(workload=text, value=-1.25)
    rows = list(csv.DictReader(io.StringIO(tidy.csv(replace(summary, table=table)), newline="")))
    assert {row["workload"] for row in rows} == {f"'{text}"}
    assert {row["value"] for row in rows} == {"-1.25"}


def test_a_locust_file_has_no_formula(tmp_path: Path) -> None:
    result, _ = new_result(tmp_path / "r", suite_with(case_of("c", scenario="/srv/journey.py"), replicates=(1, 1)))
    rows = [FakeRow(at * 10**6, endpoint="=A1 @name") for at in range(100)]
    rows.append(FakeRow(5 * 10**8, endpoint="=A1 @name", error="-1+cmd", status=0))
    place = result.new_run_folder("c", 1)
    pq.write_table(table_of(rows, place), place / "samples.parquet")
    result.write_run(run_of(case_of("c", scenario="/srv/journey.py")))
    counting = CountingFolder(result.path)
    paths = export(build(counting), result.path, ["locust"], counting.tallies)["locust"]
    (stats, _all), (failure,) = (list(csv.reader(path.read_text("utf-8").splitlines()))[1:] for path in paths)
    assert stats[:2] == ["'=A1", "'@name"]
    assert failure[:4] == ["'=A1", "'@name", "'-1+cmd", "1"]


NASTY = [
    "a|b", "|---|", "x|---|y", "a\\|b", "`x`", "**x**", "_x_", "~~x~~", "***", "```", "~~~", "$x$", "\\",
    "[a](http://b.c)", "![a](//b.c/i.png)", "[x]: http://a.b", "https://evil.example/x", "www.evil.example",
    "mailto:a@b.c", "<a@b.c>", "@all", "&#64;all", "#1", "GH-12", ":boom:",
    "<script>alert(1)</script>", "<b>", "&lt;", "<!--", "-->",
    "::error::x", "::set-output name=a::b", "##[error]x", "##vso[task.complete]", "##teamcity[x]",
    "- item", "+ item", "1. one", "2) two", "# head", "> quote", "===", "---", "    code",
    "a\nb", "a\n\n- b", "a  \nb", "\x1b[31m",
]  # fmt: skip


def text_in(tokens: list[Token]) -> str:
    """The text that a reader sees; what isn't text fails."""
    shown = ""
    for token in tokens:
        if token.children:
            shown += text_in(token.children)
        elif token.type in {"text", "text_special"}:
            shown += token.content
        elif token.type == "html_inline":
            assert token.content == "<!-- -->"
    return shown


PLACES: dict[str, tuple[str, list[str]]] = {
    "an item": ("- {}\n", ["bullet_list_open", "list_item_open", "paragraph_open"]),
    "a paragraph": ("before\n\n{}\n", ["paragraph_open", "inline", "paragraph_close", "paragraph_open"]),
    "a heading": ("### {}\n", ["heading_open"]),
    "a cell": ("| x | y |\n|---|---|\n| {} | z |\n", ["table_open"]),
}
ANY_TEXT = st.text(st.one_of(st.sampled_from(string.punctuation + "a1 \n"), st.characters()), max_size=30)


@pytest.mark.parametrize("place", PLACES)
@given(ANY_TEXT)
@example("a")
def test_a_text_of_others_is_text_wherever_it_stands_in_markdown(place: str, text: str) -> None:
    check_text(place, text)


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("place", PLACES)
def test_no_markup_of_others_works(place: str, text: str) -> None:
    check_text(place, text)


def check_text(place: str, text: str) -> None:
    template, begin = PLACES[place]
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(template.format(escape(text)))
    if not clean(text):
        return
    kinds = [token.type for token in tokens]
    assert kinds[: len(begin)] == begin
    inlines = [token for token in tokens if token.type == "inline"]
    assert len(inlines) == {"a cell": 4, "a paragraph": 2}.get(place, 1)
    found = inlines[2 if place == "a cell" else -1]
    assert {child.type for child in found.children or []} <= {"text", "text_special", "html_inline"}
    assert text_in([found]) == clean(text)


@pytest.mark.parametrize("text", NASTY)
def test_nothing_is_left_whole_that_github_links_or_a_ci_service_obeys(text: str) -> None:
    assert inert(escape(text)) == escape(text)
    assert inert(f"<b>{escape_html(text)}") == f"<b>{escape_html(text)}"
    for escaped in (escape(text), escape_html(text)):
        assert not [found for found in LINKED.finditer(escaped) if not escaped.startswith("<!-- -->", found.end())]
        assert not re.search(r"<(?!!-- -->)", escaped)


def outcome(name: str) -> Outcome:
    verdicts = (
        Verdict(
            baseline_case="b", candidate_case="c", metric="throughput_rps", replicates=3, confidence=0.95,
            ratio=0.5, ci_low=0.4, ci_high=0.6, verdict="worse", reason=name,
        ),
    )  # fmt: skip
    gates = (parse_gate("throughput_rps:-5%"),)
    return Outcome("base", name, verdicts, 0.05, 0.95, gates, ((name, name, 1),), ((name,), ()), {"c": name})


@given(st.text(st.characters(), min_size=1))
def test_every_name_gives_xml_that_can_be_read(name: str) -> None:
    root = ElementTree.fromstring(junit([outcome(name)]))
    assert root.find("testsuite/testcase[@classname]") is not None


@pytest.mark.parametrize("text", NASTY)
def test_a_comment_on_a_pull_request_has_no_markup_of_others(text: str) -> None:
    name = f"x{text}"
    kinds: set[str] = set()
    for token in MarkdownIt("commonmark").enable("table").parse(pull_request_comment([outcome(name)])):
        kinds |= {token.type, *(child.type for child in token.children or [])}
        if token.type == "html_block":
            assert re.fullmatch(r"<details><summary>[^<]*(<!-- -->[^<]*)*</summary>\n|</details>\n", token.content)
    assert (
        not {"link_open", "image", "em_open", "strong_open", "code_inline", "fence", "hr", "ordered_list_open"} & kinds
    )


def test_annotations_of_lines_hold_no_control_characters(tmp_path: Path) -> None:
    held = BlamedLine(
        endpoint="GET /\x1b[31m\ud800", path="/app/x.py", line=3, is_app=True, function="f\u202e", source="f()",
        total_ms=30, longest_ms=30, times=1, share=0.1,
    )  # fmt: skip
    (result,) = json.loads(sarif(Findings(lines=(held,)), tmp_path))["runs"][0]["results"]
    assert r"GET /\x1b[31m\ud800: 1 times" in result["message"]["text"]
    assert "\u202e" not in result["message"]["text"]
