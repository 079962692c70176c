"""A network of one hidden layer on digits: the lectures' 50 units (Rumelhart et al. 1986).

The lectures' choices where they improve on 1986: ReLU, Kaiming's start, momentum.

Command: recipes train digits/mlp
Cost: seconds on 2 CPU cores.
Expect: about 0.97.
Measured: 0.9713 ± 0.0032 over seeds 0 to 2, 3 s of training each, 2 cores of an AMD EPYC,
commit 674c689.
"""

from recipes import Recipe, main

recipe = Recipe(
    model="mlp",
    data="digits",
    act="relu",
    init="kaiming",
    options={"hidden": (50,)},
    preprocess="standardize",
    batch_size=64,
    epochs=30,
    lr=0.05,
    weight_decay=1e-3,
    schedule="cosine",
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-1, sampling="log"),
        "options.hidden": (hp.Int("units", 25, 400, sampling="log"),),
    }


if __name__ == "__main__":
    main(__file__)
