"""Transfer with little data unlike ImageNet: 20 digits per class (the cases of CS231n).

EfficientNet-Lite0 with weights from ImageNet, on images of 96x96 pixels. `tools/transfer
--cifar10=PATH` writes the folders of images that the four recipes use. This is the hardest case of
the lectures. Those of 2021 recommend linear classifiers on earlier stages, whose features are more
general; those of 2025 recommend another model or more data (see transfer/much_different). Linear
classifiers on three stages are compared with fine-tuning the last stages or all layers at 1, 1/10
and 1/100 of the original learning rate, and with training from scratch for three times as many
epochs.

Command: recipes compare transfer/little_different
Cost: 0.075 GMAC per image in the forward pass, up to three times that in training.
Expect: not stated.
Measured: docs/transfer.md has the accuracies of all variants.
"""

from recipes import main, replace
from recipes.transfer.little_similar import choices as choices
from recipes.transfer.little_similar import recipe as similar
from recipes.transfer.little_similar import space as space

recipe = replace(similar, data="folder:transfer/digits-little")


if __name__ == "__main__":
    main(__file__, "compare")
