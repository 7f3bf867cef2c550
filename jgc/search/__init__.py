"""Search: the best recipe under a budget of bytes or of lost points."""

from jgc.search.budget import Budget as Budget
from jgc.search.budget import parse_bytes as parse_bytes
from jgc.search.find import Found as Found
from jgc.search.find import search as search
