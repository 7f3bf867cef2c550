"""Studies: recipes, the store of result rows, statistics over seeds."""

from jgc.study.method import Method as Method
from jgc.study.method import parse_method as parse_method
from jgc.study.method import parse_quantizer as parse_quantizer
from jgc.study.recipe import Recipe as Recipe
from jgc.study.recipe import Run as Run
from jgc.study.recipe import Settings as Settings
from jgc.study.recipe import load_recipe as load_recipe
from jgc.study.recipe import named_recipe as named_recipe
from jgc.study.recipe import recipe_names as recipe_names
from jgc.study.rows import check_row as check_row
from jgc.study.rows import row_key as row_key
from jgc.study.stats import Estimate as Estimate
from jgc.study.stats import Summary as Summary
from jgc.study.stats import estimate as estimate
from jgc.study.stats import paired_difference as paired_difference
from jgc.study.stats import summarise as summarise
from jgc.study.store import Store as Store
