import pytest

from tests.train.programs import shared_programs


@pytest.fixture(scope="module")
def programs():
    with shared_programs() as shared:
        yield shared
