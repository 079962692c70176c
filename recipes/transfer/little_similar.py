"""Transfer with little data like ImageNet: pets (the cases of CS231n; Parkhi et al. 2012).

ResNet-50 with weights from ImageNet, on Oxford-IIIT Pet: 3,680 training images of 37 breeds, many
of which are in ImageNet. The lectures of every year recommend a linear classifier on the last
features. It is compared with what they recommend for much data: fine-tuning all layers, with a
tenth of the learning rate with which the network was pretrained.

Command: recipes compare transfer/little_similar
Cost: about 4 GMAC per image in the forward pass, three times that if all layers are trained; 20
epochs.
Expect: not stated.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="oxford_iiit_pet",
    weights="imagenet",
    head="new",
    freeze="stage4",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    batch_size=64,
    epochs=20,
    lr=0.05,
    schedule="cosine",
)

choices = {
    "linear classifier": {},
    "fine-tune all": {"freeze": None, "lr": 0.01, "warmup": 1.0, "weight_decay": 1e-4},
}


def space(hp):
    """Return the changes of one trial of a search."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-6, 1e-3, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
