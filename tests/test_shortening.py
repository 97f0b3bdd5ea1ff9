"""A shortened text fits, ends with an ellipsis, and is the beginning of the whole text."""

from hypothesis import given
from hypothesis import strategies as st

from airflow_smtp_cm.shortening import shorten


@given(st.text(), st.integers(1, 100))
def test_a_text_that_fits_is_unchanged_and_a_longer_one_is_cut_with_an_ellipsis(text, limit):
    short = shorten(text, limit)

    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
    else:
        assert short[-1] == "…"
        assert text.startswith(short[:-1])


def test_there_is_no_space_before_the_ellipsis():
    assert shorten("one two three", 9) == "one two…"
