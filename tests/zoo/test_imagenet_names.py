"""ImageNet's classes: the table of their names, and what a text means."""

import pytest

from zoo import imagenet_names

pytestmark = pytest.mark.quick


def test_the_table_has_all_classes_in_the_order_of_their_ids():
    ids, names = imagenet_names.wordnet_ids(), imagenet_names.names()
    assert len({*ids}) == len(names) == 1000
    assert list(ids) == sorted(ids)
    # keras.applications' imagenet_class_index.json
    known = {0: "n01440764 tench", 281: "n02123045 tabby", 134: "n02012849 crane",
             517: "n03126707 crane", 638: "n03710637 maillot", 639: "n03710721 maillot",
             999: "n15075141 toilet tissue"}  # fmt: skip
    assert {i: f"{ids[i]} {names[i]}" for i in known} == known
    assert [row["index"] for row in imagenet_names._rows()] == [str(i) for i in range(1000)]
    unique = imagenet_names.unique_names()
    assert len({*unique}) == 1000
    assert [unique[i] for i in (0, 134, 517, 639)] == [
        "tench", "crane (134)", "crane (517)", "maillot (639)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("n01440764", (0,)),
        ("N02085620-Chihuahua", (151,)),
        ("n02085620_no_dog", (151,)),
        ("n99999999", ()),
        ("n014407640", ()),
        ("0", (0,)),
        ("0999", (999,)),
        ("1000", ()),
        ("-1", ()),
        ("²", ()),
        ("great_white_shark", (2,)),
        ("Great White Shark", (2,)),
        ("tench, Tinca tinca", (0,)),
        ("tench,_Tinca_tinca", (0,)),
        ("jack-o-lantern", (607,)),
        ("Go kart", (573,)),
        ("Cardigan", (264,)),
        ("cardigan", (474,)),
        ("CARDIGAN", (264, 474)),
        ("crane", (134, 517)),
        ("Maillot, tank suit", (638, 639)),
        ("134_crane", (134,)),
        ("crane (517)", (517,)),
        ("crane (518)", ()),
        ("001.Black_footed_Albatross", ()),
        ("cow", ()),
        ("", ()),
        (",", ()),
    ],
)
def test_what_a_text_means(text, classes):
    assert imagenet_names.classes_of(text) == classes


def test_every_class_is_found_by_each_of_its_names():
    triples = (imagenet_names.wordnet_ids(), imagenet_names.unique_names(), map(str, range(1000)))
    for number, texts in enumerate(zip(*triples, strict=True)):
        assert {imagenet_names.classes_of(text) for text in texts} == {(number,)}
    without_case = imagenet_names.classes_of("cardigan", case=False)
    assert without_case == (264, 474)
