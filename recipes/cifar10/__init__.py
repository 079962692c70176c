"""Recipes on CIFAR-10: the papers' networks for small images, and the lectures' first two.

The images are TFDS's cifar10, or a folder's: --data=folder:PATH with PATH/train/CLASS/* and
PATH/test/CLASS/*. Where a paper trained on all 50,000 images validation is 0, and a search
needs --validation=0.1. A cost counts three passes, of two operations a MAC.
"""
