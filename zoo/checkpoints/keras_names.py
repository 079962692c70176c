"""The names of the layers in keras.applications.

Layers with automatic names, such as conv2d_7, are numbered by their order in the network: conv2d:8
is the eighth. Keras's own numbers continue from model to model.
"""

# Our network -> the function in keras.applications.
APPLICATIONS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    **{f"resnet{depth}_v1": f"ResNet{depth}" for depth in (50, 101, 152)},
    **{f"preact_resnet{depth}": f"ResNet{depth}V2" for depth in (50, 101, 152)},
    **{f"densenet{depth}": f"DenseNet{depth}" for depth in (121, 169, 201)},
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "mobilenet_v1": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_small": "MobileNetV3Small",
    **{f"efficientnet_b{size}": f"EfficientNetB{size}" for size in range(8)},
    "nasnet_mobile": "NASNetMobile",
    "nasnet_large": "NASNetLarge",
}

VGG = {
    "stage{s}_block{b}_conv": "block{s}_conv{b}",
    "fc_{k}_dense": "fc{k}",
    "head_dense": "predictions",
}

RESNET = {
    "stem_{c}": "conv1_{c}",
    "stage{s}_block{b}_shortcut_{c}": "conv{s+1}_block{b}_0_{c}",
    "stage{s}_block{b}_{k}_{c}": "conv{s+1}_block{b}_{k}_{c}",
    "head_dense": "predictions",
}
# Their norm k follows convolution k. The same norm of ours precedes convolution k + 1.
PREACT_RESNET = {
    "stem_conv": "conv1_conv",
    "stage{s}_block{b}_1_norm": "conv{s+1}_block{b}_preact_bn",
    "stage{s}_block{b}_{k}_norm": "conv{s+1}_block{b}_{k-1}_bn",
    "stage{s}_block{b}_{k}_conv": "conv{s+1}_block{b}_{k}_conv",
    "stage{s}_block{b}_shortcut_conv": "conv{s+1}_block{b}_0_conv",
    "head_norm": "post_bn",
    "head_dense": "predictions",
}
DENSENET = {
    "stem_{c}": "conv1_{c}",
    "stage{s}_block{b}_{k}_norm": "conv{s+1}_block{b}_{k-1}_bn",
    "stage{s}_block{b}_{k}_conv": "conv{s+1}_block{b}_{k}_conv",
    "stage{s}_transition_{c}": "pool{s+1}_{c}",
    "head_norm": "bn",
    "head_dense": "predictions",
}

INCEPTION_V3 = {
    "{w}_conv": "conv2d:{j}",
    "{w}_norm": "batch_normalization:{j}",
    "head_dense": "predictions",
}
INCEPTION_RESNET_V2 = {
    "stage1_block{b}_end_conv": "block35_{b}_conv",
    "stage2_block{b}_end_conv": "block17_{b}_conv",
    "stage3_block{b}_end_conv": "block8_{b}_conv",
    "head_last_conv": "conv_7b",
    "head_last_norm": "conv_7b_bn",
    **INCEPTION_V3,
}

MOBILENET_V1 = {
    "stem_conv": "conv1",
    "stem_norm": "conv1_bn",
    "stage{s}_block{b}_depthwise_conv": "conv_dw_{n}",
    "stage{s}_block{b}_depthwise_norm": "conv_dw_{n}_bn",
    "stage{s}_block{b}_pointwise_conv": "conv_pw_{n}",
    "stage{s}_block{b}_pointwise_norm": "conv_pw_{n}_bn",
    "head_dense": "conv_preds",
}


def _mobile(first: str, other: str, norm: str) -> dict[str, str]:
    """Return the rules for the blocks of MobileNet v2 and v3, whose first block is named apart."""
    parts = {
        "expand_conv": "expand",
        "expand_norm": f"expand_{norm}",
        "depthwise_conv": "depthwise",
        "depthwise_norm": f"depthwise_{norm}",
        "se_squeeze_conv": "squeeze_excite_conv",
        "se_excite_conv": "squeeze_excite_conv_1",
        "project_conv": "project",
        "project_norm": f"project_{norm}",
    }
    return {
        f"{ours}_{mine}": f"{theirs}_{yours}"
        for ours, theirs in {"stage1_block1": first, "stage{s}_block{b}": other}.items()
        for mine, yours in parts.items()
    }


MOBILENET_V2 = {
    "stem_conv": "Conv1",
    "stem_norm": "bn_Conv1",
    **_mobile("expanded_conv", "block_{n-1}", "BN"),
    "head_last_conv": "Conv_1",
    "head_last_norm": "Conv_1_bn",
    "head_dense": "predictions",
}
MOBILENET_V3 = {
    "stem_conv": "conv",
    "stem_norm": "conv_bn",
    **_mobile("expanded_conv", "expanded_conv_{n-1}", "bn"),
    "head_last_conv": "conv_1",
    "head_last_norm": "conv_1_bn",
    "head_hidden_dense": "conv_2",
    "head_dense": "logits",
}
EFFICIENTNET = {
    "stem_{c}": "stem_{c}",
    "stage{s}_block{b}_expand_{c}": "block{s}{b:a}_expand_{c}",
    "stage{s}_block{b}_depthwise_conv": "block{s}{b:a}_dwconv",
    "stage{s}_block{b}_depthwise_norm": "block{s}{b:a}_bn",
    "stage{s}_block{b}_se_squeeze_conv": "block{s}{b:a}_se_reduce",
    "stage{s}_block{b}_se_excite_conv": "block{s}{b:a}_se_expand",
    "stage{s}_block{b}_project_{c}": "block{s}{b:a}_project_{c}",
    "head_last_{c}": "top_{c}",
    "head_dense": "predictions",
}


def _nasnet_cell(ours: str, theirs: str, kind: str) -> dict[str, str]:
    """Return the rules for a cell, where our depthwise and 1x1 convolution are one separable one.

    Args:
        kind: the cell's kind, "normal" or "reduction".
    """
    rules = {
        "in_{c}": f"{kind}_{{c}}_1_{theirs}",
        "previous_{k}_conv": f"adjust_conv_{{k}}_{theirs}",
        "previous_conv": f"adjust_conv_projection_{theirs}",
        "previous_norm": f"adjust_bn_{theirs}",
    }
    for side in ("left", "right"):
        # The fourth sum of a reduction cell has no weights; keras.applications calls the fifth 4.
        numbers = (
            {"5": "4", "{k}": "{k}"} if (kind, side) == ("reduction", "left") else {"{k}": "{k}"}
        )
        for mine, yours in numbers.items():
            term, end = f"{mine}_{side}_{{j}}", f"{kind}_{side}{yours}_{theirs}"
            rules |= {
                f"{term}_depthwise": f"separable_conv_{{j}}_{end}/depthwise_kernel",
                f"{term}_conv": f"separable_conv_{{j}}_{end}/pointwise_kernel",
                f"{term}_norm": f"separable_conv_{{j}}_bn_{end}",
            }
    return {f"{ours}_{mine}": yours for mine, yours in rules.items()}


# They number all cells consecutively; the first reduction counts as a cell, the second does not.
NASNET = {
    "stem_conv": "stem_conv1",
    "stem_norm": "stem_bn1",
    **_nasnet_cell("stem_cell{b}", "stem_{b}", "reduction"),
    **_nasnet_cell("stage1_block{b}", "{n-1}", "normal"),
    **_nasnet_cell("stage{s}_block{b}", "{n}", "normal"),
    **_nasnet_cell("stage2_reduction", "reduce_{u}", "reduction"),
    **_nasnet_cell("stage3_reduction", "reduce_{v}", "reduction"),
    "head_dense": "predictions",
}
