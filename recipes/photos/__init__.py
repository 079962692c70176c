"""Recipes for your own photos, in one folder per class."""
