"""Recipes on ImageNet (ILSVRC-2012): those of the papers, and current ones for ResNet-50.

The data set is TFDS's imagenet2012, whose archives you download yourself (its page explains how),
or a folder: --data=folder:PATH with PATH/train/WNID/*.JPEG and PATH/test/WNID/*.JPEG. The papers
report accuracies on ImageNet's 50,000 validation images, which are the test set here. 1 % of the
training images are held out for curves, plateaus and searches. With --validation=0, all images are
used for training, except with the schedule "plateau", which needs a validation set. The batch size
is that of all replicas together; --accumulate splits a batch to save memory, and
--dtype=mixed_bfloat16 halves it. A cost counts three passes (forward, and backward twice as much)
with two operations per MAC. "top-5" is the fraction of images whose class is among the five most
probable ones.
"""
