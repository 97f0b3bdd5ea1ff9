"""Problems are collected, named after their fields, and raised together."""

import pytest

from airflow_smtp_cm.mail.errors import InvalidAddress, InvalidMessage, NotFound
from airflow_smtp_cm.problems import MAX_PROBLEMS, InvalidInput, Problems, read_each
from airflow_smtp_cm.smtp.errors import SettingsError


def read(text: str) -> list[str]:
    if "!" in text:
        raise InvalidInput(*(f"{word} is wrong." for word in text.split("!") if word))
    return text.split()


def test_valid_values_are_returned():
    problems = Problems()

    assert problems.attempt(read, "a b") == ["a", "b"]
    assert problems == []
    problems.raise_as(SettingsError)  # nothing


def test_all_problems_are_raised_together_and_name_their_fields():
    problems = Problems(["One more."])
    assert problems.attempt(read, "a!b!", field="to") is None
    assert problems.attempt(read, "c!") is None

    with pytest.raises(SettingsError) as caught:
        problems.raise_as(SettingsError)
    assert caught.value.problems == ("One more.", "to: a is wrong.", "to: b is wrong.", "c is wrong.")


@pytest.mark.parametrize(("others", "transient"), [([], True), (["One more."], False)])
def test_error_is_transient_only_if_all_problems_are(others, transient):
    problems = Problems(others)

    def look_up():
        raise NotFound("There is none.")

    problems.attempt(look_up, field="smtp_conn_id")
    with pytest.raises(InvalidMessage) as caught:
        problems.raise_as(InvalidMessage)
    assert caught.value.transient is transient


def test_other_exceptions_are_not_collected():
    with pytest.raises(ZeroDivisionError):
        Problems().attempt(lambda: 1 / 0)


def test_the_problems_of_all_items_are_collected():
    assert read_each(read, ["a b", "", "c"], InvalidAddress) == ("a", "b", "c")


def test_after_the_limit_of_problems_further_items_are_not_read():
    items = iter(["wrong!"] * (MAX_PROBLEMS + 5))

    with pytest.raises(InvalidAddress) as caught:
        read_each(read, items, InvalidAddress)
    assert len(caught.value.problems) == MAX_PROBLEMS
    assert len(list(items)) == 5
