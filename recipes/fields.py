"""The fields of a recipe, each with its type, default, help, range and when it applies."""

from dataclasses import dataclass
from typing import Any, Literal

from recipes.rules import (  # isort: skip
    AT_LEAST_0, CHECKPOINTS, COUNT, FRACTION, FRACTION_OR_SPLIT, IMAGES, INCREASING, LOSS,
    MACHINE, MONITORING, MULTIPLIERS, NETWORK, OPTIMIZATION, POSITIVE, SCHEDULE, SEED, SIZES,
    START, Range, With, compares_epochs, freezes, rolls_back, setting, stops_early,
)  # fmt: skip
from recipes.training import selection
from zoo.vocabulary import ACTS, INITS, NORMS

FOLDER = (With("data", "folder:*"),)


@dataclass(frozen=True)
class Fields:
    """The fields of a Recipe, which checks them."""

    # None means the value that the network's paper used.
    model: str = setting(NETWORK, help="Name of the network.", valid="`zoo list` prints the names")
    data: str = setting(
        IMAGES,
        help="Data set: digits, a TFDS name, a folder of images or made-up images.",
        valid="digits, folder:PATH, made_up:HxWxC:CLASSES or a TFDS name",
    )
    act: str | None = setting(
        NETWORK, None, "Activation function of the hidden layers.", tuple(ACTS)
    )
    norm: str | None = setting(
        NETWORK, None, "Normalization after each hidden convolution.", tuple(NORMS)
    )
    init: str | None = setting(NETWORK, None, "Initializer of the kernels.", tuple(INITS))
    dropout: float | None = setting(
        NETWORK, None, "Probability of dropping a unit.", within=FRACTION
    )
    drop_path: float | None = setting(
        NETWORK,
        None,
        "Probability of dropping the last residual branch; smaller for earlier ones.",
        within=FRACTION,
    )
    options: dict[str, Any] = setting(
        NETWORK, dict, "Further arguments of zoo.build, as --options.NAME=VALUE."
    )

    data_init: Literal["lsuv", "data_dependent", "whiten"] | None = setting(
        START, None, "Method that fits the initial weights to training images."
    )
    weights: str | None = setting(
        START,
        None,
        "Pretrained weights to start from.",
        "imagenet or another source's name, a file, or a run directory",
    )
    head: str = setting(
        START,
        "kept",
        "Whether the pretrained head is kept, new, or new on top of an earlier stage.",
        "kept, new or a stage such as stage3",
    )
    freeze: str | None = setting(
        START,
        None,
        "Train only the stages after this one; with features, only the classifier.",
        "a stage such as stage2, or features",
    )
    cache_features: Literal["auto", "always", "never"] = setting(
        START,
        "auto",
        "Compute the outputs of frozen layers only once; auto does so if augment is not random.",
        applies=(freezes,),
    )

    augment: tuple[Any, ...] = setting(
        IMAGES,
        (),
        "Operations on training images and batches, in order.",
        'a tuple such as "(Resize(32), Flip())"; `recipes names ops` prints the operations',
    )
    sizes: tuple[tuple[int, int], ...] = setting(
        IMAGES,
        (),
        "Sides to which training images are resized, each from an epoch on (progressive resizing).",
        'pairs of an epoch, counted from 0, and a side, such as "((0, 24), (8, 32))"',
        within=SIZES,
    )
    eval_ops: tuple[Any, ...] = setting(
        IMAGES,
        (),
        "Operations on images in validation and testing, and when preprocess is fitted.",
        'a tuple such as "(Resize(36), CenterCrop(32))"',
    )
    preprocess: str = setting(
        IMAGES,
        "standardize",
        "Preprocessing layer, fitted to the training set and saved in the model.",
        "`recipes names preprocess` prints the names",
    )
    validation: float | str = setting(
        IMAGES,
        0.1,
        "Fraction of the training set to validate on, or the name of a split.",
        "a number from 0 to below 1, or a split",
        within=FRACTION_OR_SPLIT,
    )
    bad_images: int = setting(
        IMAGES,
        0,
        "Largest number of unreadable images to skip in each set of a folder.",
        within=AT_LEAST_0,
        applies=FOLDER,
    )
    channels: int | None = setting(
        IMAGES,
        None,
        "Channels that a folder's images are read with: 1 (gray), 3 (RGB) or 4 (RGB and alpha).",
        "1, 3 or 4 (default: those of --options.input_shape, or 3)",
        within=Range(lambda v: v in (1, 3, 4), "1 (gray), 3 (RGB) or 4 (RGB and alpha)"),
        applies=FOLDER,
    )
    classes: tuple[int | str, ...] = setting(
        IMAGES,
        (),
        "Classes to use, which are numbered in this order; () for all.",
        'names or positions, such as "cat,dog" or "3,5"',
    )
    images: int | None = setting(
        IMAGES,
        None,
        "Number of training images to use, as equally from all classes as possible.",
        within=COUNT,
    )
    per_class: int | None = setting(
        IMAGES, None, "Number of training images of each class to use.", within=COUNT
    )
    sampling: Literal["shuffled", "balanced"] = setting(
        IMAGES,
        "shuffled",
        "Training images in an epoch: each image once, or each class equally often.",
    )

    batch_size: int = setting(
        OPTIMIZATION, 128, "Images per update, over all replicas.", within=COUNT
    )
    epochs: int = setting(OPTIMIZATION, 10, "Number of passes over the training set.", within=COUNT)
    accumulate: int = setting(
        OPTIMIZATION,
        1,
        "Number of parts into which a batch is split, to save memory.",
        within=COUNT,
    )
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "lamb", "adagrad", "muon"] = setting(
        OPTIMIZATION, "sgd", "Optimizer."
    )
    lr: float = setting(OPTIMIZATION, 0.1, "Highest learning rate.", within=POSITIVE)
    lr_multipliers: dict[str, float] = setting(
        OPTIMIZATION,
        dict,
        "Factors of the learning rate by stage, and of all biases.",
        """a dict such as '{"stage1": 0.1, "head": 1, "biases": 64}'""",
        within=MULTIPLIERS,
    )
    momentum: float = setting(
        OPTIMIZATION,
        0.9,
        "Momentum of sgd, rmsprop and muon.",
        within=FRACTION,
        applies=(With("optimizer", "sgd", "rmsprop", "muon"),),
    )
    min_momentum: float | None = setting(
        OPTIMIZATION,
        None,
        "Momentum of sgd and muon while the learning rate of one_cycle is highest.",
        within=FRACTION,
        applies=(With("optimizer", "sgd", "muon"), With("schedule", "one_cycle")),
    )
    nesterov: bool = setting(
        OPTIMIZATION,
        False,
        "Use Nesterov momentum in sgd and muon.",
        applies=(With("optimizer", "sgd", "muon"),),
    )
    rho: float = setting(
        OPTIMIZATION,
        0.9,
        "Decay of rmsprop's mean of squared gradients.",
        within=FRACTION,
        applies=(With("optimizer", "rmsprop"),),
    )
    epsilon: float | None = setting(
        OPTIMIZATION,
        None,
        "Constant in the optimizer's denominator; null for its usual value.",
        within=POSITIVE,
        applies=(With("optimizer", "adam", "adamw", "rmsprop", "lamb", "adagrad"),),
    )
    weight_decay: float = setting(
        OPTIMIZATION,
        0.0,
        "Weight decay: L2 in the gradient, decoupled for adamw, lamb and muon.",
        within=AT_LEAST_0,
    )
    decay_norms: bool = setting(
        OPTIMIZATION,
        True,
        "Apply weight decay to norms and biases as well.",
        applies=(With("optimizer", "sgd", "adam", "adamw", "rmsprop", "lamb", "adagrad"),),
    )
    clip_norm: float | None = setting(
        OPTIMIZATION,
        None,
        "Largest norm of the whole gradient; larger ones are scaled down.",
        within=POSITIVE,
    )
    average: str | None = setting(
        OPTIMIZATION,
        None,
        "Average of the weights that is validated, tested and saved in their place.",
        "ema:DECAY, polyak, swa:EPOCHS, lookahead:STEPS or lookahead:STEPS:SHARE",
    )

    schedule: Literal[
        "constant", "cosine", "polynomial", "step", "exponential", "one_cycle", "plateau"
    ] = setting(SCHEDULE, "constant", "How the learning rate changes during training.")
    schedule_unit: Literal["epochs", "steps"] = setting(
        SCHEDULE, "epochs", "Unit of milestones, step_size and warmup."
    )
    milestones: tuple[float, ...] = setting(
        SCHEDULE,
        (),
        "Times at which schedule=step multiplies the learning rate by gamma.",
        "rising numbers such as 60,90",
        within=INCREASING,
        applies=(With("schedule", "step"),),
    )
    step_size: float | None = setting(
        SCHEDULE,
        None,
        "Interval between multiplications by gamma, in place of milestones.",
        within=POSITIVE,
        applies=(With("schedule", "step", "exponential"),),
    )
    gamma: float = setting(
        SCHEDULE,
        0.1,
        "Factor of the learning rate in step, exponential and plateau.",
        within=Range(lambda v: 0 < v <= 1, "greater than 0 and at most 1"),
        applies=(With("schedule", "step", "exponential", "plateau"),),
    )
    power: float = setting(
        SCHEDULE,
        1.0,
        "Power of schedule=polynomial.",
        within=POSITIVE,
        applies=(With("schedule", "polynomial"),),
    )
    patience: int = setting(
        SCHEDULE,
        5,
        "Epochs without a lower validation loss before schedule=plateau acts.",
        within=COUNT,
        applies=(With("schedule", "plateau"),),
    )
    warmup: float = setting(
        SCHEDULE, 0.0, "Time in which the learning rate rises linearly from 0.", within=AT_LEAST_0
    )

    loss: Literal["softmax", "bce"] = setting(
        LOSS, "softmax", "Cross-entropy over all classes, or binary for each class."
    )
    label_threshold: float | None = setting(
        LOSS,
        None,
        "Value above which loss=bce takes a soft label as 1, otherwise as 0.",
        within=FRACTION,
        applies=(With("loss", "bce"),),
    )
    label_smoothing: float = setting(LOSS, 0.0, "Label smoothing.", within=FRACTION)
    class_weight: str | dict[str, float] | tuple[float, ...] | None = setting(
        LOSS,
        None,
        "Weights of the classes in the training loss.",
        """balanced, a dict such as '{"cat": 2}', or one number for each class""",
    )
    aux_weight: float = setting(
        LOSS,
        0.3,
        "Weight of the losses of auxiliary heads, where the network has them.",
        within=AT_LEAST_0,
    )

    stats_every: int = setting(
        MONITORING,
        100,
        "Steps between measurements of gradients, updates and dead units; 0 for none.",
        within=AT_LEAST_0,
    )
    loss_every: int = setting(
        MONITORING,
        1,
        "Steps between rows of steps.csv, from the first step on; 0 for no file.",
        within=AT_LEAST_0,
    )
    stop_on_nan: bool = setting(
        MONITORING, True, "Stop when the loss is no longer a finite number."
    )
    stop_at_loss: float | None = setting(
        MONITORING,
        3.0,
        "Stop when the loss, averaged over 20 steps, exceeds this multiple of its first value.",
        within=Range(lambda v: v > 1, "greater than 1"),
    )
    select: Literal["last", "best"] = setting(
        MONITORING,
        "last",
        "Epoch whose weights are kept: the last, or the best by the metric select_by.",
    )
    select_by: str = setting(
        MONITORING,
        "val_accuracy",
        "Metric that select=best and early_stopping compare.",
        tuple(selection.METRICS),
        applies=(compares_epochs,),
    )
    early_stopping: int | None = setting(
        MONITORING,
        None,
        "Stop after this many epochs without an improvement of select_by.",
        within=COUNT,
    )
    min_delta: float = setting(
        MONITORING,
        0.0,
        "Smallest change that early_stopping counts as an improvement.",
        within=AT_LEAST_0,
        applies=(stops_early,),
    )

    checkpoint_every: int | str = setting(
        CHECKPOINTS,
        "10min",
        "Time between checkpoints within an epoch; each epoch ends with one in any case.",
        "a number of steps such as 500, or a time such as 10min",
    )
    keep_checkpoints: int = setting(
        CHECKPOINTS, 2, "Number of checkpoints that are kept, the newest ones.", within=COUNT
    )
    rollbacks: int = setting(
        CHECKPOINTS,
        0,
        "How often a training that diverged may return to its last checkpoint and lower lr.",
        within=AT_LEAST_0,
    )
    rollback_factor: float = setting(
        CHECKPOINTS,
        0.5,
        "Factor of the learning rate after each return to a checkpoint.",
        within=Range(lambda v: 0 < v < 1, "greater than 0 and below 1"),
        applies=(rolls_back,),
    )

    dtype: Literal["float32", "mixed_bfloat16", "mixed_float16"] = setting(
        MACHINE, "float32", "Keras dtype policy."
    )
    seed: int = setting(MACHINE, 0, "Seed of every random number.", within=SEED)
