import pytest


@pytest.fixture(scope="module")
def programs():
    from tests.train.programs import shared_programs

    with shared_programs() as shared:
        yield shared
