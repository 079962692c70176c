"""A fast CIFAR-10 recipe: airbench94 with Muon on a CPU (Jordan et al. 2024).

It aims at the best accuracy in 20 minutes on 2 CPU cores. The network is that of Jordan (2024, 94%
on CIFAR-10 in 3.29 Seconds): a stem of whitened patches and kernels that start as the identity.
Muon and its settings are those of the author's later record (Jordan et al. 2024, Muon: An optimizer
for hidden layers in neural networks): batches of 2,000, high learning rates of biases and of the
classifier, label smoothing, and a learning rate that falls to 0. Images are flipped in every second
epoch, as in the paper, and shifted and cut out as by Page (2018, How to train your ResNet), whose
24 epochs are about as many. All 50,000 images are used for training, without validation.

Unlike there: ReLU, because GELU makes a training step 1.2 times as long; images of 24x24 pixels in
the first 14 of 25 epochs, which take about 0.6 times as long; decoupled weight decay; padding with
zeros; and a stem whose bias is frozen, too. bfloat16 takes about 0.6 times as long as float32 on a
CPU that supports it (avx512_bf16); on others, use --dtype=float32.

The test accuracy is that of single images. `recipes evaluate RUN --tta=shifts` adds the paper's
average over mirrored and shifted images. `recipes compare cifar10/fast` trains the choices below:
what each option gains is in docs/results.md.

Command: recipes train cifar10/fast
Cost: about 0.67 petaFLOP: 3 x 0.118 GMAC (0.066 for 24x24 pixels) x 2 x 50,000 images x 25 epochs.
Expect: no published accuracy; the paper's SGD reaches 0.94 on the original images in 9.9 epochs.
Measured: 0.8981 ± 0.0033 over seeds 0 to 2 on a JPEG copy (quality 75) of CIFAR-10; 0.9104 ± 0.0018
with that average. The command takes 1076 s on 2 idle cores of an AMD EPYC; commit 36c0a14.
"""

from recipes import Recipe, main
from recipes.augment import AlternatingFlip, Cutout, Flip, PadCrop

recipe = Recipe(
    model="airbench94",
    data="cifar10",
    act="relu",
    init="dirac",
    data_init="whiten",
    freeze="stem",
    augment=(PadCrop(4), AlternatingFlip(), Cutout(8)),
    sizes=((0, 24), (14, 32)),
    preprocess="standardize",
    validation=0.0,
    batch_size=2000,
    epochs=25,
    optimizer="muon",
    lr=0.24,
    lr_multipliers={"biases": 440.0, "head": 6.9},
    momentum=0.6,
    nesterov=True,
    weight_decay=0.12,
    schedule="polynomial",
    label_smoothing=0.2,
    dtype="mixed_bfloat16",
)

# What each option gains: half the width and half the epochs, with a tenth of the images held out
SHORT = {
    "epochs": 12, "sizes": ((0, 24), (7, 32)), "options": {"widths": (32, 128, 128)},
    "validation": 0.1,
}  # fmt: skip
SGD = {
    "optimizer": "sgd", "lr": 1.0, "lr_multipliers": {"biases": 64.0}, "momentum": 0.85,
    "weight_decay": 1.3e-3, "decay_norms": False, "batch_size": 512, "warmup": 2.6,
}  # fmt: skip
choices = {
    "all options": SHORT,
    "random kernels": {**SHORT, "init": "kaiming"},
    "random stem, trained": {**SHORT, "data_init": None, "freeze": None},
    "no factor for biases": {**SHORT, "lr_multipliers": {"head": 6.9}},
    "no label smoothing": {**SHORT, "label_smoothing": 0.0},
    "random flips": {**SHORT, "augment": (PadCrop(4), Flip(), Cutout(8))},
    "smaller shifts, no cutout": {**SHORT, "augment": (PadCrop(2), AlternatingFlip())},
    "32x32 pixels, 9 epochs": {**SHORT, "epochs": 9, "sizes": ()},
    "sgd": {**SHORT, **SGD},
    "sgd and lookahead": {**SHORT, **SGD, "average": "lookahead:5"},
}

# A search needs --validation=0.1.
space = """
    act=relu,gelu,elu,swish init=dirac,kaiming label_smoothing=0:0.3
    lr=log:0.03:1 weight_decay=log:1e-2:1 average=lookahead:5,ema:0.99,null
"""


if __name__ == "__main__":
    main(__file__)
