"""Values of the shared cache."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipuri_project.cache_values import JsonValues

values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists)


@given(values)
def test_values_come_back_as_they_were(value: object) -> None:
    stored = JsonValues().dumps(value)
    # Redis stores a number by its digits.
    data = str(stored).encode() if isinstance(stored, int) else stored
    assert JsonValues().loads(data) == value


def test_what_redis_holds_is_never_run() -> None:
    assert JsonValues().dumps(7) == 7
    with pytest.raises(TypeError):
        JsonValues().dumps(object())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(ValueError, match="Expecting value|codec"):
            JsonValues().loads(pickle.dumps([1.5], protocol))
