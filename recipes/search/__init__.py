"""Searches over a recipe's hyperparameters, and comparisons of its choices."""
