import pytest


@pytest.fixture(scope="module")
def programs():
    # Late: reading rows, recipes and statistics needs no jax.
    from tests.train.programs import shared_programs

    with shared_programs() as shared:
        yield shared
