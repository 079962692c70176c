"""Recipes on CIFAR-100: those of recipes/cifar10 on 100 classes. The data are as there."""
