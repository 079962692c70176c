"""How good networks are: figures, views, ensembles, soups and pictures, for recipes.evaluate."""
