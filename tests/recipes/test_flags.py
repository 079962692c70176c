"""The help of the command line, and errors for values that do not fit their field."""

import dataclasses
import re

import pytest

from recipes import Recipe, replace
from recipes.cli import flags, main
from recipes.rules import TOPICS
from zoo.options import field_types, literals
from zoo.vocabulary import ACTS, INITS, NORMS

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("--dropout=nil", "dropout='nil': must be a number or None"),
        ("--clip_norm=high", "clip_norm='high': must be a number or None"),
        ("--step_size=1/2", "step_size='1/2': must be a number or None"),
        ("--lr_multipliers=head", "lr_multipliers='head': must be a dict"),
    ],
)
def test_a_flag_of_another_type_is_an_error(given, printed):
    with pytest.raises(ValueError, match="must be") as caught:
        flags.parse("x", "", {"recipe": {}}, ["r", given], fields=True)
    assert str(caught.value) == printed


def flags_by_topic(text):
    """Return {topic: {field: its help in one line}} from the --help of a command."""
    found = {}
    for title, body in re.findall(r"^(.+) \(fields of the recipe\):\n((?:  .*\n)+)", text, re.M):
        entries = re.split(r"^  --", body, flags=re.M)[1:]
        rows = (re.match(r"([\w.]+)(?: \w+)?\s+(.*)", " ".join(e.split())) for e in entries)
        found[title] = {row[1]: row[2] for row in rows}
    return found


def test_help_shows_each_field_in_its_topic_with_default_and_valid_names(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("train", "show", "tune"):
        with pytest.raises(SystemExit):
            main.run([command, "--help"])
        shown = flags_by_topic(capsys.readouterr().out)
        assert tuple(shown) == TOPICS
        seen = []
        for field in dataclasses.fields(Recipe):
            name = "options.NAME" if field.name == "options" else field.name
            text = shown[field.metadata["topic"]][name]
            seen.append(name)
            assert text.startswith(field.metadata["help"])
            names = {"act": ACTS, "norm": NORMS, "init": INITS}.get(field.name)
            for valid in names or literals(field_types(Recipe)[field.name]):
                assert re.search(rf"[( ]{re.escape(valid)}[,;)]", text), (name, valid)
            if field.default is not dataclasses.MISSING:
                value = field.default
                as_typed = {None: "null", True: "true", False: "false"}.get(
                    value if value is None or isinstance(value, bool) else "", str(value)
                )
                assert re.search(rf"default: {re.escape(as_typed)}[,)]", text), name
        assert sorted(seen) == sorted(name for names in shown.values() for name in names)


@pytest.mark.parametrize("field", dataclasses.fields(Recipe), ids=lambda f: f.name)
def test_each_field_is_described_by_one_sentence(field):
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", field.metadata["help"])
    assert len(field.metadata["help"]) < 110


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("--stop_at_loss=none", "stop_at_loss", None),
        ("--stop_at_loss=None", "stop_at_loss", None),
        ("--early_stopping=null", "early_stopping", None),
        ("--norm=none", "norm", "none"),
        ("--class_weight=none", "class_weight", None),
        ("--class_weight=balanced", "class_weight", "balanced"),
        ('--class_weight={"cat": 2}', "class_weight", {"cat": 2.0}),
        ("--class_weight=1,2.5", "class_weight", (1.0, 2.5)),
        ("--class_weight=[1, 2]", "class_weight", (1.0, 2.0)),
        ("--select_by=val_loss", "select_by", "val_loss"),
    ],
)
def test_none_and_class_weights_on_the_command_line(given, name, value):
    _, overrides = flags.parse("train", "", {}, [given, "--select=best"], True)
    recipe = replace(Recipe(model="mlp", data="digits"), **overrides)
    assert getattr(recipe, name) == value
