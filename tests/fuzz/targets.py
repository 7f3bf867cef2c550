"""The one table of everything that reads bytes from outside."""

from tests.fuzz.artefacts import ARTEFACTS
from tests.fuzz.loaders import LOADERS
from tests.fuzz.studies import STUDIES
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {target.name: target for target in (*LOADERS, *STUDIES, *ARTEFACTS)}
