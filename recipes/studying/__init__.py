"""Run the studies in `recipes/studies`: measure, compute verdicts, draw, and resume.

A study is a module with

    CLAIMS: dict[str, Claim]         what the lectures state, and the criteria
    measure(lab)                     everything that takes time, in cells that resume
    judge(lab)                       claim -> condition -> Evidence
    picture(lab, path)               the slide's figure
    table(lab)                       optional: the rows of table.csv

and a docstring: a title, and paragraphs that start with "Claims:", "Setup:" and "Cost:".
"""

from recipes.studying.criteria import above, below, equals, within
from recipes.studying.lab import Lab
from recipes.studying.verdicts import Claim, Evidence, correct_images, paired

__all__ = [
    "Claim",
    "Evidence",
    "Lab",
    "above",
    "below",
    "correct_images",
    "equals",
    "paired",
    "within",
]
