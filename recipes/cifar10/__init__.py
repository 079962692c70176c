"""Recipes on CIFAR-10: papers' networks for small images, and the first two of the CS231n lectures.

The data set is TFDS's cifar10, or a folder: --data=folder:PATH with PATH/train/CLASS/* and
PATH/test/CLASS/*. Where a paper trained on all 50,000 images, validation is 0, so that a search
needs --validation=0.1. A cost counts three passes (forward, and backward twice as much) with two
operations per MAC.
"""
