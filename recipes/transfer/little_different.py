"""Transfer, little data unlike ImageNet: diseased leaves. CS231n's table of cases.

ResNet-50 with ImageNet's weights on the 1,034 training images of TFDS's beans, leaves of healthy
and of diseased plants. The lectures' hardest case. Those of 2021 try a linear classifier on
earlier stages, whose features are the more general; those of 2025 another model or more data. So
linear classifiers on stage 2, 3 and 4 run here beside another network, whose last convolution,
behind the last stage, learns with its classifier.

Command: recipes compare transfer/little_different
Cost: at most 4 GMAC an image forward; 30 epochs of 1,034 images, four times.
Expect: not stated.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="beans",
    validation="validation",
    weights="imagenet",
    head="stage3",
    freeze="stage3",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    batch_size=32,
    epochs=30,
    lr=0.05,
    schedule="cosine",
)

choices = {
    "linear classifier on stage 2": {"head": "stage2", "freeze": "stage2"},
    "linear classifier on stage 3": {},
    "linear classifier on stage 4": {"head": "stage4", "freeze": "stage4"},
    "another model": {"model": "efficientnet_b0", "head": "new", "freeze": "stage7"},
}


def space(hp):
    """What a search tries."""
    stage = hp.Choice("stage", ["stage1", "stage2", "stage3", "stage4"])
    return {
        "head": stage,
        "freeze": stage,
        "lr": hp.Float("lr", 1e-3, 0.5, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
