"""The words a person types: `jgc data | compress | study | report | inspect | predict | ...`.

Rooms are imported inside the commands: `jgc --help` answers without jax or matplotlib.
"""

from jgc.cli.entry import app, main

__all__ = ["app", "main"]
