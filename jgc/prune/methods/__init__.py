"""One pruning method a file: short compositions of the parts, or a `Pruner` of its own."""
