"""What is pruned whole leaves the arrays."""
