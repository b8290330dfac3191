"""A run's report says what the steps counted, and nothing that they did not."""

from typing import Any

from backup_tasks.ledger import report

CYCLE: dict[str, dict[str, Any]] = {
    "snapshot": {"counts": {"d.document": 5, "u.user": 10}, "files": 5},
    "dump": {"counts": {"d.document": 5, "u.user": 10}, "warnings": ["one file is missing"]},
    "pack": {"package": "p.tar.zst", "size": 9, "sha256": "ab"},
    "verify": {
        "package": "p.tar.zst",
        "expected": {"d.document": 5, "u.user": 10},
        "expected_files": 5,
        "warnings": ["one file is missing"],
    },
    "reinit": {"counts": {"d.document": 0, "u.user": 2}, "files": 0},
    "validate": {
        "counts": {"d.document": 5, "u.user": 10},
        "digests_equal": {"d.document": True, "u.user": True},
        "files": 5,
    },
    "promote": {"promoted": True, "lock_seconds": 0.02},
}


def test_a_cycle_tells_each_figure_of_each_model() -> None:
    told = report.build(CYCLE)

    assert told["models"]["d.document"] == {
        "before": 5,
        "after_reinit": 0,
        "after": 5,
        "expected": 5,
        "digest_equal": True,
    }
    assert told["models"]["u.user"]["after_reinit"] == 2
    assert told["files"]["before"] == told["files"]["after"] == told["files"]["expected"] == 5
    assert told["files"]["after_reinit"] == 0
    assert (told["package"], told["size"], told["sha256"]) == ("p.tar.zst", 9, "ab")
    assert (told["promoted"], told["lock_seconds"]) == (True, 0.02)
    assert told["warnings"] == ["one file is missing"]


def test_figures_of_steps_that_did_not_run_are_unknown() -> None:
    told = report.build({"snapshot": CYCLE["snapshot"]})

    assert told["models"]["d.document"] == {
        "before": 5,
        "after_reinit": None,
        "after": None,
        "expected": None,
        "digest_equal": None,
    }
    assert told["files"]["after"] is None
    assert told["promoted"] is None
    assert report.build({})["models"] == {}


def test_a_model_that_restored_nothing_is_warned_of() -> None:
    """S6"""
    lost = {**CYCLE, "validate": {"counts": {"d.document": 0, "u.user": 10}}}

    assert "d.document: restored none of 5" in report.build(lost)["warnings"]
