"""Recipes on ImageNet, ILSVRC-2012: the papers' and today's for ResNet-50.

The images are TFDS's imagenet2012, whose archives are downloaded by hand (its page tells where
to), or a folder's: --data=folder:PATH with PATH/train/WNID/*.JPEG and PATH/test/WNID/*.JPEG. What
the papers report is on ImageNet's 50,000 validation images, which are the test set here. 1 % of
the training images are held out for curves, plateaus and searches; --validation=0 trains on all
where the schedule is not "plateau". A batch is over all replicas; --accumulate splits it for
memory, --dtype=mixed_bfloat16 halves that. A cost counts three passes, of two operations a MAC.
"""
