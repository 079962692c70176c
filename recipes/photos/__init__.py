"""Recipes for a person's own photographs, in a folder of folders."""
