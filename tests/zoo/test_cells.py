"""Cells of NASNet's search space: their operations, states and networks."""

import dataclasses

import keras
import numpy as np
import pytest

import zoo
from zoo import cells
from zoo.families import nasnet

STYLE = nasnet.STYLES["*"]
# Progressive NAS (Liu et al. 2017), figure 1: all cells are equal.
PNASNET = {
    "ops": ("sep5", "max3", "sep7", "max3", "sep5", "sep3", "sep3", "max3", "sep3", "identity"),
    "inputs": (1, 1, 0, 0, 0, 0, 4, 0, 1, 0),
    "concat": (4,),
}


def test_the_cell_of_pnasnet_5_gives_its_number_of_parameters():
    """The number is that of the networks of Cadene's pretrained-models and of osmr's imgclsmob."""
    cell = {f"{kind}_{part}": PNASNET[part] for kind in ("normal", "reduction") for part in PNASNET}
    found = zoo.counts("nasnet_large", depths=(4, 3, 3), width=216, skip_reduction=False, **cell)
    assert found["parameters"] == 86_057_668
    assert found["macs"] == pytest.approx(25.14e9, rel=0.01)


def applied(operation, size, stride, w=3, channels=3, padding="tf"):
    """Return the model of one operation on feature maps."""
    x, style = keras.Input((size, size, channels)), dataclasses.replace(STYLE, padding=padding)
    return keras.Model(x, cells.operate(x, operation, stride, w, False, style, name="it"))


def maps(size, channels=3):
    return np.random.default_rng(0).normal(size=(2, size, size, channels)).astype("float32")


@pytest.mark.quick
@pytest.mark.parametrize(
    "operation", [n for n in cells.OPERATIONS if not n.startswith(("sep", "avg"))]
)
def test_a_stride_keeps_every_second_result_of_an_operation(operation):
    """Windows of odd size start at the first pixel of maps of odd size; the second convolution of
    a separable one, and the averages at a border, are other operations."""
    whole = applied(operation, 7, 1, w=4)
    for padding in ("tf", "symmetric"):
        halved = applied(operation, 7, 2, w=4, padding=padding)
        halved.set_weights(whole.get_weights())
        expected = whole(maps(7))[:, ::2, ::2]
        np.testing.assert_allclose(halved(maps(7)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.quick
def test_convolutions_read_the_pixels_that_their_names_say():
    seen = {
        "conv1": np.ones((1, 1)), "conv3": np.ones((3, 3)), "conv1x3": np.ones((3, 3)),
        "conv1x7": np.ones((7, 7)), "sep3": np.ones((5, 5)), "sep7": np.ones((13, 13)),
        "dilated3": np.array([1, 0, 1, 0, 1])[:, None] * np.array([1, 0, 1, 0, 1]),
    }  # fmt: skip
    for operation, expected in seen.items():
        model = applied(operation, 15, 1, 1, 1)
        model.set_weights([np.ones_like(w) for w in model.get_weights()])
        x = np.zeros((1, 15, 15, 1), "float32")
        x[0, 7, 7] = 1
        rows, columns = np.nonzero(model(x)[0, :, :, 0] != model(np.zeros_like(x))[0, :, :, 0])
        half = len(expected) // 2
        wanted = {(r - half + 7, c - half + 7) for r, c in zip(*np.nonzero(expected), strict=True)}
        assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == wanted, operation
    kernels = [w.shape[:2] for w in applied("conv1x7", 15, 2).weights if w.name == "kernel"]
    assert kernels == [(1, 7), (7, 1)]


@pytest.mark.quick
def test_an_identity_or_pool_is_projected_only_to_change_channels_or_size():
    counted = {
        (operation, stride, w): applied(operation, 8, stride, w).count_params()
        for operation in ("identity", "max3", "avg3") for stride in (1, 2) for w in (3, 4)
    }  # fmt: skip
    norm = 4  # parameters per channel
    projected = {w: 3 * w + norm * w for w in (3, 4)}
    expected = {key: projected[4] if key[2] == 4 else 0 for key in counted}
    expected["identity", 2, 3] = projected[3]
    assert counted == expected


@pytest.mark.quick
def test_cells_concatenate_the_states_that_no_block_reads():
    spec = nasnet.SPECS["nasnet_mobile"]
    assert spec.cell("normal").ends == [1, 2, 3, 4, 5, 6]
    assert spec.cell("reduction").ends == [3, 4, 5, 6]
    cells.Cell(("sep3",) * 4, (0, 0, 0, 2), (0, 3)).check("normal")
    cells.Cell(("sep3", "max3"), (0, 1), (2,)).check("normal")  # a single block
    assert cells.Cell(("sep3",) * 4, (0, 0, 0, 2), ()).ends == [1, 3]
    assert cells.Cell(("sep3",) * 4, (1, 0, 0, 2), (2,)).ends == [2, 3]
    # Inputs that a reduction cell does not read are halved; a single state is not concatenated.
    model = zoo.build("toy_cells", normal_inputs=(0, 1, 2, 2), input_shape=(9, 9, 3))
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert shapes["stage2_reduction_end0_norm"] == (5, 5, 12)
    assert shapes["stage2_reduction_concat"] == (5, 5, 24)
    assert "stage1_block1_concat" not in shapes
    assert shapes["head_act"] == (5, 5, 12)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normal_ops": ("sep3",) * 9 + ("sep4",)},
         r"^normal_ops='sep4': unknown operation; did you mean 'sep\d'\? valid: identity, conv1, "),
        ({"reduction_ops": ("pool",) * 10}, "^reduction_ops='pool': unknown operation; valid: "),
        ({"normal_ops": ("sep3",)}, r"\('sep3',\): must be an even number of operations"),
        ({"normal_ops": ()}, r"^normal_ops=\(\): must be an even number"),
        ({"normal_ops": ("sep3",) * 4}, "has length 10, but normal_ops has 4 operations; give"),
        ({"normal_inputs": (0, 1, 0, 3, 0, 0, 0, 0, 0, 0)}, "block 2 cannot read state 3"),
        ({"normal_inputs": (0, -1, 0, 0, 0, 0, 0, 0, 0, 0)}, "block 1 cannot read state -1"),
        ({"reduction_concat": (7,)}, r"^reduction_concat=\(7,\): there is no state 7; .* to 6$"),
        ({"normal_ops": (3,) * 10}, "must be a tuple"),
    ],
)  # fmt: skip
def test_errors_of_cells_name_the_block_and_what_is_valid(options, message):
    with pytest.raises(ValueError, match=message):
        zoo.resolve("nasnet_mobile", **options)
