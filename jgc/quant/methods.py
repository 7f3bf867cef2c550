"""The one table of quantisers by name."""

from collections.abc import Callable

from jgc.quant.a2q import a2q
from jgc.quant.degree import degree
from jgc.quant.types import Quantizer
from jgc.quant.uniform import qat

# name -> (bits, **settings) -> Quantizer
METHODS: dict[str, Callable[..., Quantizer]] = {"qat": qat, "degree": degree, "a2q": a2q}
