import pytest

from tests.task.delivery.stores import Store


@pytest.fixture
def store():
    return Store()
