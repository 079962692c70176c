"""The names of torchvision and timm for networks with branches: GoogLeNet, Inception, NASNet.

They are those of the state dicts of torchvision 0.28 and timm 1.0; tests compare them with both.
"""

GOOGLENET = {
    "stem_{k}_{c}": "conv{k}.{c}",
    "stage{s}_block{b}_branch1_{c}": "inception{s+2}{b:a}.branch1.{c}",
    "stage{s}_block{b}_branch{r}_{k}_{c}": "inception{s+2}{b:a}.branch{r}.{k-1}.{c}",
    "stage2_aux{k}_1_{c}": "aux{k}.conv.{c}",
    "stage2_aux{k}_2_dense": "aux{k}.fc1",
    "stage2_aux{k}_dense": "aux{k}.fc2",
    "head_dense": "fc",
}

INCEPTION_V3 = {
    "stem_1_{c}": "Conv2d_1a_3x3.{c}",
    "stem_2_{c}": "Conv2d_2a_3x3.{c}",
    "stem_3_{c}": "Conv2d_2b_3x3.{c}",
    "stem_5_{c}": "Conv2d_3b_1x1.{c}",
    "stem_6_{c}": "Conv2d_4a_3x3.{c}",
    "stage{s}_block{b}_branch1_{c}": "Mixed_{s+4}{b+1:a}.branch1x1.{c}",
    "stage{s}_block{b}_branch4_2_{c}": "Mixed_{s+4}{b+1:a}.branch_pool.{c}",
    "stage1_block{b}_branch2_{k}_{c}": "Mixed_5{b+1:a}.branch5x5_{k}.{c}",
    "stage1_block{b}_branch3_{k}_{c}": "Mixed_5{b+1:a}.branch3x3dbl_{k}.{c}",
    "stage2_reduction_branch1_{c}": "Mixed_6a.branch3x3.{c}",
    "stage2_reduction_branch2_{k}_{c}": "Mixed_6a.branch3x3dbl_{k}.{c}",
    "stage2_block{b}_branch2_{k}_{c}": "Mixed_6{b+1:a}.branch7x7_{k}.{c}",
    "stage2_block{b}_branch3_{k}_{c}": "Mixed_6{b+1:a}.branch7x7dbl_{k}.{c}",
    "stage2_aux1_{k}_{c}": "AuxLogits.conv{k-1}.{c}",
    "stage2_aux1_dense": "AuxLogits.fc",
    "stage3_reduction_branch1_{k}_{c}": "Mixed_7a.branch3x3_{k}.{c}",
    "stage3_reduction_branch2_{k}_{c}": "Mixed_7a.branch7x7x3_{k}.{c}",
    "stage3_block{b}_branch2_1_{c}": "Mixed_7{b+1:a}.branch3x3_1.{c}",
    "stage3_block{b}_branch2_2_branch{k}_{c}": "Mixed_7{b+1:a}.branch3x3_2{k:a}.{c}",
    "stage3_block{b}_branch3_{k}_{c}": "Mixed_7{b+1:a}.branch3x3dbl_{k}.{c}",
    "stage3_block{b}_branch3_3_branch{k}_{c}": "Mixed_7{b+1:a}.branch3x3dbl_3{k:a}.{c}",
    "head_dense": "fc",
}

INCEPTION_V4 = {
    "stem_4_branch2_{c}": "features.3.conv.{c}",
    "stem_5_branch{r}_{k}_{c}": "features.4.branch{r-1}.{k-1}.{c}",
    "stem_6_branch1_{c}": "features.5.conv.{c}",
    "stem_{k}_{c}": "features.{k-1}.{c}",
    "stage1_block{b}_branch1_{c}": "features.{b+5}.branch0.{c}",
    "stage1_block{b}_branch{r}_{k}_{c}": "features.{b+5}.branch{r-1}.{k-1}.{c}",
    "stage2_reduction_branch1_{c}": "features.10.branch0.{c}",
    "stage2_reduction_branch{r}_{k}_{c}": "features.10.branch{r-1}.{k-1}.{c}",
    "stage2_block{b}_branch1_{c}": "features.{b+10}.branch0.{c}",
    "stage2_block{b}_branch{r}_{k}_{c}": "features.{b+10}.branch{r-1}.{k-1}.{c}",
    "stage3_reduction_branch{r}_{k}_{c}": "features.18.branch{r-1}.{k-1}.{c}",
    "stage3_block{b}_branch1_{c}": "features.{b+18}.branch0.{c}",
    "stage3_block{b}_branch4_{k}_{c}": "features.{b+18}.branch3.{k-1}.{c}",
    "stage3_block{b}_branch2_2_branch{k}_{c}": "features.{b+18}.branch1_1{k:a}.{c}",
    "stage3_block{b}_branch3_4_branch{k}_{c}": "features.{b+18}.branch2_3{k:a}.{c}",
    "stage3_block{b}_branch{r}_{k}_{c}": "features.{b+18}.branch{r-1}_{k-1}.{c}",
    "head_dense": "last_linear",
}

# Our modules with branches -> theirs. Their last block has a name of its own.
_INCEPTION_RESNET = {
    "stem_mixed": "mixed_5b",
    "stage1_block{b}": "repeat.{b-1}",
    "stage2_reduction": "mixed_6a",
    "stage2_block{b}": "repeat_1.{b-1}",
    "stage3_reduction": "mixed_7a",
    "stage3_block10": "block8",
    "stage3_block{b}": "repeat_2.{b-1}",
}
INCEPTION_RESNET_V2 = {
    "stem_1_{c}": "conv2d_1a.{c}",
    "stem_2_{c}": "conv2d_2a.{c}",
    "stem_3_{c}": "conv2d_2b.{c}",
    "stem_5_{c}": "conv2d_3b.{c}",
    "stem_6_{c}": "conv2d_4a.{c}",
    **{
        f"{ours}_{mine}": f"{theirs}.{yours}"
        for ours, theirs in _INCEPTION_RESNET.items()
        for mine, yours in {
            "branch1_{c}": "branch0.{c}",
            "branch{r}_{k}_{c}": "branch{r-1}.{k-1}.{c}",
            "end_conv": "conv2d",
        }.items()
    },
    "head_last_{c}": "conv2d_7b.{c}",
    "head_dense": "classif",
}


def _nasnet_cell(ours: str, theirs: str) -> dict[str, str]:
    rules = {"in_{c}": "conv_1x1.{c}"}
    for side in ("left", "right"):
        term, end = f"{{i}}_{side}_{{k}}", f"comb_iter_{{i-1}}_{side}"
        rules |= {
            f"{term}_depthwise": f"{end}.separable_{{k}}.depthwise_conv2d",
            f"{term}_conv": f"{end}.separable_{{k}}.pointwise_conv2d",
            f"{term}_norm": f"{end}.bn_sep_{{k}}",
        }
    return {f"{ours}_{mine}": f"{theirs}.{yours}" for mine, yours in rules.items()}


def _nasnet_previous(ours: str, theirs: str, halved: bool) -> dict[str, str]:
    """Return rules for the layers that adapt the output of the cell before the previous one.

    They are two 1x1 convolutions that also halve the resolution, or one 1x1 convolution.
    """
    if not halved:
        return {f"{ours}_previous_{{c}}": f"{theirs}.conv_prev_1x1.{{c}}"}
    return {
        f"{ours}_previous_{{k}}_conv": f"{theirs}.path_{{k}}.conv",
        f"{ours}_previous_norm": f"{theirs}.final_path_bn",
    }


# Only the first cell of a stage halves the output of the cell before the previous one. NASNets
# whose stem has no reduction cells have no counterpart in timm.
NASNET = {
    "stem_{c}": "conv0.{c}",
    **_nasnet_cell("stem_cell{b}", "cell_stem_{b-1}"),
    **_nasnet_previous("stem_cell2", "cell_stem_1", halved=True),
    **_nasnet_cell("stage{s}_reduction", "reduction_cell_{s-2}"),
    **_nasnet_previous("stage{s}_reduction", "reduction_cell_{s-2}", halved=False),
    **_nasnet_cell("stage{s}_block{b}", "cell_{n-1}"),
    **_nasnet_previous("stage{s}_block1", "cell_{n-1}", halved=True),
    **_nasnet_previous("stage{s}_block(?!1_){b}", "cell_{n-1}", halved=False),
    "head_dense": "last_linear",
}
