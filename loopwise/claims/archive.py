"""Claims on disk: a folder per run of the claims, in it a result per claim with its finding and what a search added.

results/claims/<UTC time>/<ID>/               an ordinary result: experiment.json, runs/, summary.csv, report.html
                              finding.json    what became of the claim
                              searched/<factor>-<value>/   a result for each value that the search tried
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from loopwise.analysis.summary import Summary, summarise
from loopwise.claims.evidence import merged
from loopwise.claims.finding import CLAIMS_SCHEMA_VERSION, Finding
from loopwise.errors import ResultError
from loopwise.paths import results_dir
from loopwise.results.files import write_atomically
from loopwise.results.folder import EXPERIMENT, ResultFolder

FINDING, SEARCHED, PAGE = "finding.json", "searched", "claims.html"


def home() -> Path:
    """Folder of all runs of the claims."""
    return results_dir() / "claims"


def new_run(now: datetime) -> Path:
    """Folder of claims that are run now: results/claims/20260102T030405Z."""
    return home() / now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def runs() -> list[Path]:
    """Folders of all runs of the claims, newest first."""
    return sorted((path for path in home().glob("*Z") if path.is_dir()), reverse=True)


class ClaimFolder:
    """One claim in the folder of a run."""

    def __init__(self, folder: Path, claim_id: str) -> None:
        self.claim_id = claim_id
        self.path = folder / claim_id

    @property
    def result(self) -> ResultFolder:
        """The result of the claim's suite."""
        return ResultFolder(self.path)

    @property
    def is_measured(self) -> bool:
        """Whether there is a result to judge."""
        return (self.path / EXPERIMENT).is_file()

    def searched(self, name: str) -> ResultFolder:
        """The result of a value that the search tries."""
        return ResultFolder(self.path / SEARCHED / name)

    def summary(self) -> Summary:
        """All that was measured for the claim: its suite, and what the search added.

        Raises:
            ResultError: there is no result.
        """
        others = sorted((self.path / SEARCHED).glob(f"*/{EXPERIMENT}"))
        return merged(
            summarise(self.result),
            [(each.parent.name, summarise(ResultFolder(each.parent))) for each in others],
        )

    def write(self, finding: Finding) -> None:
        """Write finding.json; the folder of the run is not made anew where it was deleted meanwhile."""
        self.path.mkdir(exist_ok=True)
        write_atomically(self.path / FINDING, finding.model_dump_json(indent=2) + "\n")

    def finding(self) -> Finding | None:
        """Read finding.json; None where there is none.

        Raises:
            ResultError: it is damaged, or of a newer version.
        """
        path = self.path / FINDING
        if not path.is_file():
            return None
        remedy = "make it anew with `bench.py claims report`"
        try:
            finding = Finding.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise ResultError(f"{path}: {error.errors()[0]['msg']}; {remedy}") from None
        except (OSError, ValueError) as error:
            raise ResultError(f"{path}: cannot be read ({error}); {remedy}") from None
        if finding.schema_version > CLAIMS_SCHEMA_VERSION:
            raise ResultError(
                f"{path}: schema_version is {finding.schema_version}, this Loopwise reads up to "
                f"{CLAIMS_SCHEMA_VERSION}; read it with the version that wrote it, or a newer one"
            )
        return finding


def folders_in(folder: Path, claim_ids: Iterable[str]) -> list[ClaimFolder]:
    """The claims that a run has something of, in their order.

    Raises:
        ResultError: it has nothing of any claim.
    """
    places = [ClaimFolder(folder, claim_id) for claim_id in claim_ids]
    places = [each for each in places if each.is_measured or (each.path / FINDING).is_file()]
    if not places:
        raise ResultError(
            f"{folder}: holds no claim; name a folder made by `bench.py claims run`, such as those in {home()}"
        )
    return places


def findings_in(folder: Path, claim_ids: Iterable[str]) -> dict[str, Finding]:
    """The findings of a run by claim.

    Raises:
        ResultError: it has nothing of any claim, or a finding is damaged.
    """
    places = folders_in(folder, claim_ids)
    return {place.claim_id: finding for place in places if (finding := place.finding()) is not None}


def last_findings(folders: Sequence[Path], claim_ids: Iterable[str]) -> dict[str, tuple[Finding, Path]]:
    """The newest finding of each claim that has one, and the run it is from. `folders`: of runs, newest first."""
    newest: dict[str, tuple[Finding, Path]] = {}
    for claim_id in claim_ids:
        for folder in folders:
            finding = ClaimFolder(folder, claim_id).finding()
            if finding is not None:
                newest[claim_id] = finding, folder
                break
    return newest
