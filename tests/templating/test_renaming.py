"""Names change in every form in which they are written, and nothing else does."""

from pathlib import PurePosixPath

import pytest

from okkhor.templating.naming import Name
from okkhor.templating.renaming import Renaming, filled

NAME = Name("plankton", "Plankton of the Sea")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from okkhor.data import x", "from plankton.data import x"),
        ('os.environ["OKKHOR_ROOT"]', 'os.environ["PLANKTON_ROOT"]'),
        ("class OkkhorLauncher:", "class PlanktonLauncher:"),
        ("override launcher: okkhor_grid", "override launcher: plankton_grid"),
        ("# Okkhor on SageMaker", "# Plankton of the Sea on SageMaker"),
        ("arn:aws:s3:::b/okkhor-*", "arn:aws:s3:::b/plankton-*"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_every_form_of_the_name(old, new):
    assert Renaming(NAME).text(old) == new


def test_paths_are_renamed_like_texts():
    path = PurePosixPath("src/hydra_plugins/okkhor_launcher.py")
    assert Renaming(NAME).path(path) == PurePosixPath("src/hydra_plugins/plankton_launcher.py")


def test_words_are_replaced_in_their_order_and_in_capitals_too():
    renaming = Renaming(NAME, {"big cat": "lion", "cat": "dog", "168": "61", "A: b": "c"})
    assert renaming.text("big cat, Cats, CAT_FOOD, 168, 1681, A: b") == "lion, Dogs, DOG_FOOD, 61, 1681, c"


def test_places_are_filled_and_one_without_a_value_is_a_mistake():
    assert filled("from {{ template }} {x}", {"template": "there"}) == "from there {x}"
    with pytest.raises(KeyError):
        filled("{{ nobody }}", {})
