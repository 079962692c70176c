"""The names of torchvision and timm for networks that are a sequence of blocks.

They are those of the state dicts of torchvision 0.28, timm 1.0 and efficientnet_pytorch 0.7; tests
compare them with all three.
"""

ALEXNET = {
    "stem_conv": "features.0",
    "stage1_block1_conv": "features.3",
    "stage2_block1_conv": "features.6",
    "stage2_block2_conv": "features.8",
    "stage2_block3_conv": "features.10",
    "fc_1_dense": "classifier.1",
    "fc_2_dense": "classifier.4",
    "head_dense": "classifier.6",
}

_VGG = {"stage{s}_block{b}_conv": "features.{f}", "stage{s}_block{b}_norm": "features.{f+1}"}
VGG = {
    **_VGG,
    "fc_1_dense": "classifier.0",
    "fc_2_dense": "classifier.3",
    "head_dense": "classifier.6",
}
VGG_TIMM = {**_VGG, "fc_{k}_dense": "pre_logits.fc{k}", "head_dense": "head.fc"}

RESNET = {
    "stem_conv": "conv1",
    "stem_norm": "bn1",
    "stage{s}_block{b}_{k}_conv": "layer{s}.{b-1}.conv{k}",
    "stage{s}_block{b}_{k}_norm": "layer{s}.{b-1}.bn{k}",
    "stage{s}_block{b}_se_squeeze_conv": "layer{s}.{b-1}.se.fc1",
    "stage{s}_block{b}_se_excite_conv": "layer{s}.{b-1}.se.fc2",
    "stage{s}_block{b}_shortcut_conv": "layer{s}.{b-1}.downsample.0",
    "stage{s}_block{b}_shortcut_norm": "layer{s}.{b-1}.downsample.1",
    "head_dense": "fc",
}
# The names in the authors' weights of SE networks, which timm's legacy_* networks use.
LEGACY_SENET = {
    "stem_conv": "layer0.conv1",
    "stem_norm": "layer0.bn1",
    "stem_{k}_conv": "layer0.conv{k}",
    "stem_{k}_norm": "layer0.bn{k}",
    "stage{s}_block{b}_se_squeeze_conv": "layer{s}.{b-1}.se_module.fc1",
    "stage{s}_block{b}_se_excite_conv": "layer{s}.{b-1}.se_module.fc2",
    **{
        ours: theirs
        for ours, theirs in RESNET.items()
        if ours.startswith("stage") and "se_" not in ours
    },
    "head_dense": "last_linear",
}
PREACT_RESNET = {
    "stem_conv": "stem.conv",
    "stage{s}_block{b}_{k}_conv": "stages.{s-1}.blocks.{b-1}.conv{k}",
    "stage{s}_block{b}_{k}_norm": "stages.{s-1}.blocks.{b-1}.norm{k}",
    "stage{s}_block{b}_shortcut_conv": "stages.{s-1}.blocks.{b-1}.downsample.conv",
    "head_norm": "norm",
    "head_dense": "head.fc",
}

DENSENET = {
    "stem_conv": "features.conv0",
    "stem_norm": "features.norm0",
    "stage{s}_block{b}_{k}_conv": "features.denseblock{s}.denselayer{b}.conv{k}",
    "stage{s}_block{b}_{k}_norm": "features.denseblock{s}.denselayer{b}.norm{k}",
    "stage{s}_transition_conv": "features.transition{s}.conv",
    "stage{s}_transition_norm": "features.transition{s}.norm",
    "head_norm": "features.norm{t+1}",
    "head_dense": "classifier",
}

MOBILENET_V2 = {
    "stem_conv": "features.0.0",
    "stem_norm": "features.0.1",
    "stage{s}_block{b}_expand_conv": "features.{n}.conv.0.0",
    "stage{s}_block{b}_expand_norm": "features.{n}.conv.0.1",
    "stage{s}_block{b}_depthwise_conv": "features.{n}.conv.{d}.0",
    "stage{s}_block{b}_depthwise_norm": "features.{n}.conv.{d}.1",
    "stage{s}_block{b}_project_conv": "features.{n}.conv.{p}",
    "stage{s}_block{b}_project_norm": "features.{n}.conv.{p+1}",
    "head_last_conv": "features.{n+1}.0",
    "head_last_norm": "features.{n+1}.1",
    "head_dense": "classifier.1",
}


def _torchvision_blocks(block: str) -> dict[str, str]:
    return {
        "stem_conv": "features.0.0",
        "stem_norm": "features.0.1",
        "stage{s}_block{b}_expand_conv": f"{block}.block.0.0",
        "stage{s}_block{b}_expand_norm": f"{block}.block.0.1",
        "stage{s}_block{b}_depthwise_conv": f"{block}.block.{{d}}.0",
        "stage{s}_block{b}_depthwise_norm": f"{block}.block.{{d}}.1",
        "stage{s}_block{b}_se_squeeze_conv": f"{block}.block.{{e}}.fc1",
        "stage{s}_block{b}_se_excite_conv": f"{block}.block.{{e}}.fc2",
        "stage{s}_block{b}_project_conv": f"{block}.block.{{p}}.0",
        "stage{s}_block{b}_project_norm": f"{block}.block.{{p}}.1",
    }


MOBILENET_V3 = {
    **_torchvision_blocks("features.{n}"),
    "head_last_conv": "features.{n+1}.0",
    "head_last_norm": "features.{n+1}.1",
    "head_hidden_dense": "classifier.0",
    "head_dense": "classifier.3",
}
EFFICIENTNET = {
    **_torchvision_blocks("features.{s}.{b-1}"),
    "head_last_conv": "features.{t+1}.0",
    "head_last_norm": "features.{t+1}.1",
    "head_dense": "classifier.1",
}

# In a block without an expansion, the depthwise convolution comes first, and the 1x1 convolution
# after it is called conv_pw instead of conv_pwl.
_MOBILE_TIMM = {
    "stem_conv": "conv_stem",
    "stem_norm": "bn1",
    "stage{s}_block{b}_expand_conv": "blocks.{s-1}.{b-1}.conv_pw",
    "stage{s}_block{b}_expand_norm": "blocks.{s-1}.{b-1}.bn1",
    "stage{s}_block{b}_depthwise_conv": "blocks.{s-1}.{b-1}.conv_dw",
    "stage{s}_block{b}_depthwise_norm": "blocks.{s-1}.{b-1}.bn{d+1}",
    "stage{s}_block{b}_se_squeeze_conv": "blocks.{s-1}.{b-1}.se.conv_reduce",
    "stage{s}_block{b}_se_excite_conv": "blocks.{s-1}.{b-1}.se.conv_expand",
    "stage{s}_block{b}_project_conv": "blocks.{s-1}.{b-1}.conv_pw{l}",
    "stage{s}_block{b}_project_norm": "blocks.{s-1}.{b-1}.bn{d+2}",
    "stage{s}_block{b}_pointwise_conv": "blocks.{s-1}.{b-1}.conv_pw",
    "stage{s}_block{b}_pointwise_norm": "blocks.{s-1}.{b-1}.bn2",
    "head_dense": "classifier",
}
MOBILE_TIMM = {**_MOBILE_TIMM, "head_last_conv": "conv_head", "head_last_norm": "bn2"}
MOBILENET_V3_TIMM = {
    **_MOBILE_TIMM,
    "head_last_conv": "blocks.{t}.0.conv",
    "head_last_norm": "blocks.{t}.0.bn1",
    "head_hidden_dense": "conv_head",
}

# The package efficientnet_pytorch and packages derived from it. The blocks of all stages are
# numbered in one sequence. A block without an expansion has no _bn0, but keeps _bn1 and _bn2.
EFFICIENTNET_PYTORCH = {
    "stem_conv": "_conv_stem",
    "stem_norm": "_bn0",
    "stage{s}_block{b}_expand_conv": "_blocks.{n-1}._expand_conv",
    "stage{s}_block{b}_expand_norm": "_blocks.{n-1}._bn0",
    "stage{s}_block{b}_depthwise_conv": "_blocks.{n-1}._depthwise_conv",
    "stage{s}_block{b}_depthwise_norm": "_blocks.{n-1}._bn1",
    "stage{s}_block{b}_se_squeeze_conv": "_blocks.{n-1}._se_reduce",
    "stage{s}_block{b}_se_excite_conv": "_blocks.{n-1}._se_expand",
    "stage{s}_block{b}_project_conv": "_blocks.{n-1}._project_conv",
    "stage{s}_block{b}_project_norm": "_blocks.{n-1}._bn2",
    "head_last_conv": "_conv_head",
    "head_last_norm": "_bn1",
    "head_dense": "_fc",
}
