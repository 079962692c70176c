"""What is said of a flag's value that does not fit its field."""

import pytest

from recipes import flags

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--dropout=None", "dropout='None' is not a number or None; None is null"),
        ("--clip_norm=high", "clip_norm='high' is not a number or None"),
        ("--every=1/2", "every='1/2' is not a number or None"),
        ("--rates=head", "rates='head' is not dict"),
    ],
)
def test_a_value_of_another_type(given, said):
    with pytest.raises(ValueError, match="is not") as caught:
        flags.parse("x", "", {"recipe": {}}, ["r", given], fields=True)
    assert str(caught.value) == said
