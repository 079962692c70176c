"""A search for cells of NASNet's search space on digits (Zoph et al. 2017).

The network has two normal cells and a reduction cell of two or three blocks each; `recipes tune`
searches their operations and inputs. The recipe itself trains the cells of NASNet-A, shortened to
their first blocks.

Command: recipes train digits/cells
Cost: 15 seconds on 2 CPU cores.
Expect: about 0.97.
Measured: 0.9741 ± 0.0070 over seeds 0 to 2, on 2 cores of an AMD EPYC that also did other work,
commit fde3d10.
"""

from recipes import Recipe, main
from recipes.augment import PadCrop

recipe = Recipe(
    model="nasnet_mobile",
    data="digits",
    dropout=0.0,
    options={
        "stem": "cifar",
        "depths": (1, 1),
        "width": 16,
        "stem_width": 16,
        "norm_momentum": 0.9,
        "normal_ops": ("sep5", "sep3", "sep5", "sep3", "avg3", "identity"),
        "normal_inputs": (0, 1, 1, 1, 0, 1),
        "normal_concat": (),
        "reduction_ops": ("sep5", "sep7", "max3", "sep7"),
        "reduction_inputs": (0, 1, 0, 1),
        "reduction_concat": (),
    },
    augment=(PadCrop(1),),
    preprocess="standardize",
    batch_size=64,
    epochs=12,
    lr=0.05,
    weight_decay=1e-4,
    schedule="cosine",
    warmup=1,
    clip_norm=5.0,
)

OPERATIONS = ["identity", "conv1", "conv3", "conv1x7", "dilated3", "sep3", "sep5", "avg3", "max3"]


def space(hp):
    """Return the changes of one trial: two operations and the states that they read, per block."""

    def cell(kind, blocks):
        at = range(2 * blocks)
        ops = [hp.Choice(f"{kind}_op{i}", OPERATIONS) for i in at]
        inputs = [hp.Int(f"{kind}_input{i}", 0, 1 + i // 2) for i in at]
        return {f"options.{kind}_ops": tuple(ops), f"options.{kind}_inputs": tuple(inputs)}

    return (
        cell("normal", 3)
        | cell("reduction", 2)
        | {
            "act": hp.Choice("act", ["relu", "elu", "swish"]),
            "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        }
    )


if __name__ == "__main__":
    main(__file__)
