"""Quantisation: grids, ranges and quantisers for any tree of parameters and any named values."""

from jgc.quant.a2q import a2q as a2q
from jgc.quant.a2q import average_bits as average_bits
from jgc.quant.a2q import bits_by_degree as bits_by_degree
from jgc.quant.a2q import learned_sites as learned_sites
from jgc.quant.degree import degree as degree
from jgc.quant.degree import protection as protection
from jgc.quant.grid import Grid as Grid
from jgc.quant.grid import affine_grid as affine_grid
from jgc.quant.grid import dequantize as dequantize
from jgc.quant.grid import fake_quant as fake_quant
from jgc.quant.grid import q_bounds as q_bounds
from jgc.quant.grid import quantize as quantize
from jgc.quant.grid import symmetric_grid as symmetric_grid
from jgc.quant.learned import Groups as Groups
from jgc.quant.learned import Learned as Learned
from jgc.quant.methods import METHODS as METHODS
from jgc.quant.ranges import RANGES as RANGES
from jgc.quant.ranges import RangeState as RangeState
from jgc.quant.types import Nodes as Nodes
from jgc.quant.types import Params as Params
from jgc.quant.types import Place as Place
from jgc.quant.types import Quant as Quant
from jgc.quant.types import Quantizer as Quantizer
from jgc.quant.types import Site as Site
from jgc.quant.uniform import not_output as not_output
from jgc.quant.uniform import qat as qat
