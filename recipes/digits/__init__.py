"""Recipes on the 1,797 handwritten digits of scikit-learn: minutes on two cores."""
