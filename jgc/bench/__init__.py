"""Measurements beside the libraries that people use instead: `jgc bench`."""

from jgc.bench.cases import CASES as CASES
from jgc.bench.cases import Case as Case
from jgc.bench.run import run as run
