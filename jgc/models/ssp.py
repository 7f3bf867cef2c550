"""SSP: a GCN that is told apart by how it is trained (Izadi et al., IEEE BigData 2020)."""

from typing import ClassVar

from jgc.models.gcn import GCN


class SSP(GCN):
    """The GCN of SSP: 16 hidden units, and dropout before the second convolution only.

    What makes it SSP is its training, which `jgc study` and `jgc compress` know as its defaults:
    Adam on gradients preconditioned by `jgc.train.Kfac`, and `guess_weights` of
    `jgc.train.problem`, by which it also learns from its own guesses.

    Example:
        >>> SSP().hidden, SSP().input_dropout
        (16, 0.0)

    References:
        arXiv 2008.09624; github.com/russellizadi/ssp.
    """

    task: ClassVar[str] = "node"

    hidden: int = 16
    input_dropout: float | None = 0.0
