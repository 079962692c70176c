"""Recipes on CIFAR-100: those of recipes/cifar10 with 100 classes.

The data set is TFDS's cifar100, or a folder, as described there. DESIGN.md explains why each recipe
is a file.
"""
