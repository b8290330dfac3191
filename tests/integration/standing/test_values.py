"""What verdicts and pins add up to, and their copy beside a package."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_tasks.errors import PackageDamaged, SignatureInvalid
from backup_tasks.package.signature import generate_key
from backup_tasks.package.standing import TESTS, Pin, Standing, Verdict, standing_name

SHA = "ab" * 32
START = datetime(2026, 11, 22, tzinfo=UTC)

VERDICTS = st.lists(
    st.builds(
        Verdict,
        test=st.sampled_from(TESTS),
        passed=st.booleans(),
        at=st.integers(0, 1000).map(lambda minutes: START + timedelta(minutes=minutes)),
        run=st.just("verify-1"),
        why=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    ),
    max_size=12,
    unique_by=lambda verdict: verdict.at,
)


def standing(*told: str) -> Standing:
    """Of verdicts in the order of time, such as "restore failed"."""
    verdicts = []
    for number, text in enumerate(told):
        test, outcome = text.split()
        at = START + timedelta(hours=number)
        verdicts.append(Verdict(test=test, passed=outcome == "passed", at=at))  # type: ignore[arg-type]  # one of TESTS
    return Standing(sha256=SHA).merged(verdicts, None)


@pytest.mark.parametrize(
    ("told", "failed"),
    [
        ([], None),
        (["contents passed"], None),
        (["contents failed"], "contents"),
        (["contents failed", "contents passed"], None),
        (["contents failed", "restore passed"], None),
        (["contents passed", "contents failed"], "contents"),
        (["restore passed", "contents failed"], "contents"),
        (["restore failed", "contents passed"], "restore"),
        (["restore failed", "contents failed", "contents passed"], "restore"),
        (["contents failed", "bytes passed"], "contents"),
        (["bytes failed", "bytes passed"], None),
        (["restore failed", "restore passed", "bytes failed"], "bytes"),
    ],
)
def test_a_failure_stands_until_a_later_test_that_is_as_strong_is_passed(
    told: list[str], failed: str | None
) -> None:
    failure = standing(*told).failure

    assert (failure.test if failure else None) == failed


def test_proven_is_what_was_restored_and_has_not_failed_since() -> None:
    assert standing("restore passed").proven
    assert standing("contents failed", "restore passed").proven
    assert not standing("contents passed").proven
    assert not standing("restore passed", "contents failed").proven


@settings(deadline=None, derandomize=True, database=None)
@given(one=VERDICTS, other=VERDICTS)
def test_it_does_not_matter_in_which_order_verdicts_become_known(
    one: list[Verdict], other: list[Verdict]
) -> None:
    """Hosts exchange them through the store, each when it happens to look there."""
    times = {verdict.at for verdict in one}
    other = [verdict for verdict in other if verdict.at not in times]
    nothing = Standing(sha256=SHA)

    there = nothing.merged(one, None).merged(other, None)

    assert there == nothing.merged(other, None).merged(one, None)
    assert there == there.merged([*one, *other], None)


@settings(deadline=None, derandomize=True, database=None)
@given(verdicts=VERDICTS, pinned=st.booleans())
def test_a_copy_says_what_is_known(verdicts: list[Verdict], pinned: bool) -> None:
    secret, public = generate_key()
    pin = Pin(pinned=pinned, at=START, by="ada", reason="the audit")
    known = Standing(sha256=SHA).merged(verdicts, pin)

    copy = known.to_json(secret)

    assert Standing.from_json(copy, "p.standing", trusted=[public]) == known
    assert Standing.from_json(known.to_json(None), "p.standing", trusted=[]) == known


def test_a_copy_that_no_trusted_key_signed_or_that_was_altered_is_refused() -> None:
    secret, public = generate_key()
    other, _ = generate_key()
    known = standing("restore passed")
    altered = known.to_json(secret).replace(b'"restore"', b'"bytes"')

    for content in (known.to_json(None), known.to_json(other), altered):
        with pytest.raises(SignatureInvalid):
            Standing.from_json(content, "p.standing", trusted=[public])


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"sha256": "0"},
        {"unknown": 1},
        {"pin": 5},
        {"verdicts": [{"test": "luck", "passed": True, "at": "2026-11-22T00:00:00+00:00"}]},
        {"signature": 5},
    ],
)
def test_a_copy_of_another_form_is_damage(changes: dict[str, object]) -> None:
    record = json.loads(standing("restore passed").to_json(None)) | changes

    with pytest.raises(PackageDamaged):
        Standing.from_json(json.dumps(record).encode(), "p.standing", trusted=[])


def test_the_copy_lies_beside_the_package() -> None:
    assert standing_name("edms-1.tar.zst.age") == "edms-1.standing"
