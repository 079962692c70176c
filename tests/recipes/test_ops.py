"""Ops as text: the registry, the parser of their repr, and invalid arguments."""

import math
import subprocess
import sys

import pytest

from recipes import augment
from recipes.augment import (
    OPS,
    Affine,
    AugMix,
    AutoAugment,
    CenterCrop,
    ColorJitter,
    CutMix,
    Cutout,
    Equalize,
    Flip,
    GaussianBlur,
    Lighting,
    Mixup,
    MixupOrCutMix,
    PadCrop,
    Posterize,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    RepeatedAugmentation,
    Resize,
    ResizeShort,
    Rotate,
    ScaleJitter,
    Sharpness,
    Shear,
    Solarize,
    Translate,
    parse,
    parse_all,
)
from tests.recipes.pictures import SAMPLES

pytestmark = pytest.mark.quick


def test_every_op_has_a_sample():
    assert {type(op) for op in SAMPLES} == set(OPS.values())


@pytest.mark.parametrize("op", SAMPLES, ids=repr)
def test_parse_reads_the_repr_of_every_op(op):
    assert parse(repr(op)) == op
    assert parse_all(repr(op)) == (op,)
    assert eval(repr(op), dict(OPS)) == op  # runnable source
    assert hash(parse(repr(op))) == hash(op)


def test_parse_all_reads_tuples_of_ops():
    expected = (Resize(32), Flip(0.25), PadCrop(4))
    assert parse_all("(Resize(32), Flip(0.25), PadCrop(pad=4))") == expected
    assert parse_all(" [Resize(size=32), Flip(0.25), PadCrop()] ") == expected
    assert parse_all("()") == parse_all("[]") == ()
    assert parse_all(repr(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Fliip()", "did you mean 'Flip'"),
        ("Flip(probabilty=0.2)", "did you mean 'probability'"),
        ("Flip", "written as a call"),
        ("Resize()", "Resize needs size"),
        ("Resize(32, size=32)", "twice"),
        ("Flip(0.1, 2)", "2 arguments, but Flip takes at most 1"),
        ("TrivialAugment(1)", "1 argument, but TrivialAugment takes none"),
        ("Resize('32')", "size='32': must be an integer or a tuple"),
        ("Flip(probability=True)", "probability=True: must be a number"),
        ("Resize(32, method='linear')", "bilinear"),
        ("PadCrop(pad=-1)", "PadCrop: pad=-1: must be 0 or more pixels"),
        ("Resize(", "not an op"),
        ("", "not an op"),
        ("3", "not an op"),
        ("(Flip(), 3)", "not an op"),
        ("__import__('os').system('true')", "not an op"),
        ("__import__('os')", "unknown op"),
        ("Resize(__import__('os').getpid())", "not a plain value"),
        ("Resize(size=(lambda: 3)())", "not a plain value"),
        ("Resize(9**9**9)", "not a plain value"),
        ("Flip(**{'probability': 1})", "unknown argument"),
        ("Flip(*(1,))", "not a plain value"),
        ("Resize.__init__(3)", "not an op"),
        ("Flip()\nFlip()", "not an op"),
        ("Flip(\0)", "not an op"),
        ("(" * 500 + ")" * 500, "not an op"),
    ],
)
def test_parse_rejects_invalid_text(text, message):
    for function in (parse, parse_all):
        with pytest.raises(ValueError, match=message):
            function(text)


BAD = {
    "pad": [lambda: PadCrop(-1), lambda: PadCrop(1.5)],
    "probability": [
        lambda: Flip(-0.1),
        lambda: Flip(1.1),
        lambda: Flip(math.nan),
        lambda: Flip(None),
        lambda: Equalize(2),
        lambda: RandomErasing(-1),
        lambda: Mixup(probability=1.5),
        lambda: CutMix(probability=-0.5),
        lambda: RandAugment(probability=math.inf),
        lambda: MixupOrCutMix(probability=7),
    ],
    "size": [
        lambda: Resize(0),
        lambda: Resize((3, 0)),
        lambda: Resize((3, 3, 3)),
        lambda: ResizeShort(0),
        lambda: CenterCrop(-2),
        lambda: RandomResizedCrop(0),
        lambda: ScaleJitter((9, 12), 0),
        lambda: Cutout(0),
    ],
    "area": [
        lambda: RandomResizedCrop(8, area=(0.0, 1.0)),
        lambda: RandomResizedCrop(8, area=(0.5, 0.1)),
        lambda: RandomResizedCrop(8, area=(0.5, 1.1)),
        lambda: RandomErasing(area=(0.0, 0.1)),
        lambda: RandomErasing(area=(0.3, 0.1)),
    ],
    "aspect": [
        lambda: RandomResizedCrop(8, aspect=(2.0, 1.0)),
        lambda: RandomResizedCrop(8, aspect=(0.0, 1.0)),
        lambda: RandomErasing(aspect=(1.0, math.inf)),
    ],
    "method": [lambda: RandomResizedCrop(8, method="lanczos")],
    "short": [lambda: ScaleJitter((12, 9), 8), lambda: ScaleJitter((6, 9), 8)],
    "degrees": [
        lambda: Rotate(-1),
        lambda: Rotate(181),
        lambda: Shear(90),
        lambda: Affine(math.nan),
    ],
    "shear": [lambda: Affine(shear=90.0)],
    "fill": [lambda: Rotate(fill=256), lambda: Translate(fill=-1), lambda: Affine(fill=math.nan)],
    "interpolation": [lambda: Rotate(interpolation="bicubic")],
    "share": [lambda: Translate(1.1), lambda: Translate(-0.1)],
    "translate": [lambda: Affine(translate=(0.1, 1.1)), lambda: Affine(translate=0.1)],
    "scale": [lambda: Affine(scale=(0.0, 1.0)), lambda: Affine(scale=(2.0, 1.0))],
    "brightness": [lambda: ColorJitter(-0.1), lambda: ColorJitter(math.inf)],
    "contrast": [lambda: ColorJitter(contrast=-1)],
    "saturation": [lambda: ColorJitter(saturation=math.nan)],
    "hue": [lambda: ColorJitter(hue=0.6), lambda: ColorJitter(hue=-0.1)],
    "deviation": [
        lambda: Lighting(-0.1),
        lambda: GaussianBlur((0.0, 1.0)),
        lambda: GaussianBlur((2.0, 1.0)),
        lambda: RandAugment(deviation=-1.0),
    ],
    "value": [lambda: Cutout(value=256), lambda: RandomErasing(value=-1)],
    "threshold": [lambda: Solarize(257), lambda: Solarize(-1)],
    "bits": [lambda: Posterize(0), lambda: Posterize(9), lambda: Posterize(4.5)],
    "change": [lambda: Sharpness(-0.5)],
    "policy": [lambda: AutoAugment("mnist")],
    "count": [lambda: RandAugment(0), lambda: RandAugment(15)],
    "magnitude": [lambda: RandAugment(magnitude=11), lambda: RandAugment(magnitude=-1)],
    "most": [lambda: RandAugment(most=0)],
    "severity": [lambda: AugMix(0), lambda: AugMix(11)],
    "width": [lambda: AugMix(width=0)],
    "depth": [lambda: AugMix(depth=-1)],
    "alpha": [
        lambda: AugMix(alpha=0),
        lambda: Mixup(0),
        lambda: Mixup(-1.0),
        lambda: Mixup(math.inf),
        lambda: CutMix(0),
    ],
    "mixup": [lambda: MixupOrCutMix(mixup=0)],
    "cutmix": [lambda: MixupOrCutMix(cutmix=-1)],
    "switch": [lambda: MixupOrCutMix(switch=1.1)],
    "times": [lambda: RepeatedAugmentation(0)],
}


@pytest.mark.parametrize(
    ("name", "make"), [(name, make) for name, makes in BAD.items() for make in makes]
)
def test_a_wrong_argument_is_named(name, make):
    with pytest.raises(ValueError, match=rf"^[A-Z]\w+: {name}=") as error:
        make()
    assert "\n" not in str(error.value)


def test_an_op_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        augment.op(Flip)


def test_importing_and_parsing_do_not_import_tensorflow():
    code = (
        "import sys; from recipes import augment, data; from recipes.data import preprocess;"
        "augment.parse_all('(Resize(32), Flip(), Mixup())');"
        "bad = {'tensorflow', 'keras', 'pandas', 'tensorflow_datasets', 'sklearn'};"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
