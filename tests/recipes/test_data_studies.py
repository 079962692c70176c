"""Evidence and figures of the studies degradation, cutout and transfer, on made-up measurements."""

import math

import pytest

from recipes.studies import cutout, degradation, transfer
from recipes.studying import Lab
from recipes.studying.verdicts import finding

pytestmark = pytest.mark.quick


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path, "made up", note=lambda text: None)


def verdicts(study, lab):
    """Return claim -> condition -> verdict."""
    evidence = study.judge(lab)
    assert set(evidence) == set(study.CLAIMS)
    found = {key: finding(claim, evidence[key]) for key, claim in study.CLAIMS.items()}
    return {key: {c: v.verdict for c, v in f.conditions.items()} for key, f in found.items()}


def test_degradation(lab):
    errors = {"plain20": 20, "plain56": 30, "resnet20": 18, "resnet56": 12}
    for seed in range(2):
        for name, training in errors.items():
            curves = {key: [60, 50 - seed, 40] for key in ("training", "validation")}
            test = training + 10 + 0.2 * seed * (name == "plain56")
            cell = {"run": "", "training": training + 0.1 * seed, "test": test, "curves": curves}
            lab.cells[f"{name}/seed{seed}"] = cell
        lab.cells[f"deepened/plain/seed{seed}"] = {"inference": 1e-6, "training": 1.2 + seed}
        lab.cells[f"deepened/resnet/seed{seed}"] = {"inference": 1e-6, "training": 0.0}
    found = verdicts(degradation, lab)
    assert set(found["degrades"].values()) == {"confirmed"}
    assert set(found["repaired"].values()) == {"confirmed"}
    assert found["lower"] == {"": "confirmed"}
    assert found["copied"] == {
        "plain, inference": "confirmed", "plain, training": "refuted",
        "resnet, inference": "confirmed", "resnet, training": "confirmed",
    }  # fmt: skip
    says = degradation.judge(lab)["degrades"]["test"].says
    assert says == "40.1 against 30.0 %"
    lab.cells["plain56/seed1"] |= {"training": math.nan, "curves": {}}
    assert verdicts(degradation, lab)["degrades"]["training"] == "diverged"
    degradation.picture(lab, lab.directory / "figure.png")


def test_cutout(lab):
    gains = {"none": 0, "flips": 4, "crops and flips": 9, "cutout": -3, "all three": 9.2}
    for size, about in cutout.SIZES.items():
        for seed in range(about["seeds"]):
            for arm, gain in gains.items():
                # Seeds differ by their images, by which the arms do not.
                lower = 6 if (size, arm) == (20_000, "cutout") else 0
                test = 50 + size / 1000 + gain + lower + 5 * seed + 0.1 * seed * (arm == "flips")
                name = f"{size}/{arm.replace(' ', '-')}/seed{seed}"
                lab.cells[name] = {"test": test, "training": test + 5}
    found = verdicts(cutout, lab)
    five, twenty = "5,000 images, 30 epochs", "20,000 images, 15 epochs"
    assert found["cutout"] == {
        f"alone, {five}": "refuted", f"with crops and flips, {five}": "undecided",
        f"alone, {twenty}": "confirmed", f"with crops and flips, {twenty}": "undecided",
    }  # fmt: skip
    assert found["size"] == {"alone": "refuted", "with crops and flips": "undecided"}
    assert set(found["augmentation"].values()) == {"confirmed"}
    cutout.picture(lab, lab.directory / "figure.png")


@pytest.mark.parametrize("year", [2021, 2025])
def test_transfer(lab, year):
    """The arms that one year advises are best, and most by a wide margin."""
    for source in transfer.SOURCES:
        for place, quadrant in enumerate(transfer.QUADRANTS):
            for arm in transfer.arms_of(source, quadrant):
                good = arm in transfer.ADVICE[year][place]
                for seed in range(3):
                    name = transfer.cell_of(source, quadrant, arm, seed)
                    accuracy = 80 + seed - 30 * (not good) + 0.1 * seed * (arm == "last stage")
                    lab.cells[name] = {"accuracy": accuracy}
    assert len(lab.cells) == 3 * (34 + 22 * (len(transfer.SOURCES) - 1))
    found = verdicts(transfer, lab)
    assert set(found[f"advice {year}"].values()) == {"confirmed"}
    other = found[f"advice {({2021, 2025} - {year}).pop()}"]
    assert other["little, similar (CIFAR-10 source)"] == "confirmed"
    assert other["much, similar (CIFAR-10 source)"] == "refuted"
    if year == 2021:
        assert found["rate"]["much, different"] == "confirmed"
        assert found["generic"]["little (CIFAR-10 source)"] == "confirmed"
        assert found["scratch"]["much, different"] == "refuted"
        assert found["slower"]["much, different"] == "confirmed"
        assert set(found["little"].values()) == {"confirmed"}
    transfer.picture(lab, lab.directory / "figure.png")
