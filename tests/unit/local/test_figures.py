"""The demo's verdict: nothing but the right figures passes."""

from copy import deepcopy
from typing import Any

import pytest

from edms.local.figures import lines_of, problems, table

LIVE = {"users.user": 10, "workflows.documentworkflow": 4, "documents.document": 5, "files": 5}


def figures(before: int, after_reinit: int, after: int) -> dict[str, Any]:
    return {
        "before": before,
        "after_reinit": after_reinit,
        "after": after,
        "expected": before,
        "digest_equal": True,
    }


REPORT: dict[str, Any] = {
    "models": {
        "documents.document": figures(5, 0, 5),
        "sites.site": figures(0, 0, 0),
        "users.user": figures(10, 2, 10),
        "workflows.documentworkflow": figures(4, 0, 4),
    },
    "files": figures(5, 0, 5),
}


def verdict(report: dict[str, Any], live: dict[str, int], *, files_equal: bool = True) -> list[str]:
    return problems(lines_of(report, files_equal=files_equal), live)


def test_the_right_figures_pass() -> None:
    assert verdict(REPORT, LIVE) == []


@pytest.mark.parametrize("name", ["users.user", "documents.document"])
@pytest.mark.parametrize(
    ("moment", "wrong"),
    [("before", 3), ("after_reinit", 1), ("after", 4), ("after", None), ("digest_equal", False)],
)
def test_one_wrong_figure_fails_and_is_named(name: str, moment: str, wrong: int | None) -> None:
    report = deepcopy(REPORT)
    report["models"][name][moment] = wrong

    assert any(line.startswith(name) for line in verdict(report, LIVE))


def test_a_missing_model_fails() -> None:
    report = deepcopy(REPORT)
    del report["models"]["documents.document"]

    assert verdict(report, LIVE) == ["documents.document: None, where it should be (5, 0, 5)"]


def test_rows_that_the_live_system_does_not_have_fail_whatever_the_report_says() -> None:
    assert verdict(REPORT, {**LIVE, "documents.document": 0}) == [
        "documents.document: 5 before, 0 in the live system now"
    ]


def test_files_with_other_bytes_fail() -> None:
    assert verdict(REPORT, LIVE, files_equal=False) == [
        "files: the restored content is not proven equal"
    ]


def test_the_table_leaves_out_what_never_had_rows_and_ends_with_the_documents_and_files() -> None:
    lines = table(lines_of(REPORT, files_equal=True)).splitlines()

    assert [line.split()[0] for line in lines] == [
        *("model", "users.user", "workflows.documentworkflow", "documents.document", "files")
    ]
    assert lines[-1].split() == ["files", "5", "0", "5", "yes"]
