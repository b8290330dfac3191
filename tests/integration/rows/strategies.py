"""Strategies of hypothesis for values, by the kind of column."""

import datetime as dt
import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.testapp.zoo import THEN

NAIVE = THEN.replace(tzinfo=None)  # as hypothesis wants its bounds
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15).map(
        lambda value: value or 0.0
    )
    | TEXT
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
JSON_TEXT = st.one_of(
    DATA.map(json.dumps),
    DATA.map(lambda value: json.dumps(value, indent=1, ensure_ascii=False)),
    st.sampled_from(['{"b":1,"a":1.10,"a":2}', "null", "1e400", "-0", '"\\ud800"', "1" * 40]),
)
"""JSON as others write it: with other spaces, keys twice, numbers that floats lack."""
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "char": TEXT,
    "text": TEXT,
    "boolean": st.booleans(),
    "small": st.integers(-(2**15), 2**15 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False),
    "decimal": st.decimals(-(10**7), 10**7, places=4),
    "date": st.dates(),
    "time": st.times(),
    "moment": st.datetimes(
        NAIVE - dt.timedelta(days=2001 * 365),
        NAIVE + dt.timedelta(days=7990 * 365),
        timezones=st.just(dt.UTC),
    ),
    "duration": st.timedeltas(dt.timedelta(days=-(10**5)), dt.timedelta(days=10**5)),
    "uuid": st.uuids(),
    "binary": st.binary(max_size=60),
    "data": DATA,
    "address": st.ip_addresses().map(str),
}


def as_mariadb_has(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with others for those that MariaDB refuses: infinity, and UUIDs that nobody
    makes."""

    def held(value: Any) -> Any:
        if isinstance(value, uuid.UUID):
            return uuid.UUID(int=value.int, version=4)
        return 0.0 if isinstance(value, float) and math.isinf(value) else value

    return {name: held(value) for name, value in values.items()}
