import math

import pytest

from okkhor.errors import InputError
from okkhor.heads import Head, Heads

BLOCK = {
    "root": {"column": "grapheme_root", "classes": 168, "weight": 2},
    "vowel": {"column": "vowel_diacritic", "classes": 11},
}


def test_config_round_trip():
    heads = Heads.from_config(BLOCK)
    assert heads[0] == Head("root", "grapheme_root", 168, 2.0)
    assert Heads.from_config(heads.to_config()) == heads


def test_shares_sum_to_one_in_proportion():
    heads = Heads.from_config({**BLOCK, "consonant": {"classes": 7}})
    assert heads.shares == [0.5, 0.25, 0.25]
    assert math.isclose(sum(heads.shares), 1)


def test_slices_cover_all_logits_without_overlap():
    heads = Heads.from_config(BLOCK)
    covered = [i for _, part in heads.slices() for i in range(part.start, part.stop)]
    assert covered == list(range(168 + 11))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"classes": 1}, "data.heads.x.classes"),
        ({"classes": "many"}, "data.heads.x.classes"),
        ({"classes": True}, "data.heads.x.classes"),
        ({}, "data.heads.x.classes"),
        ({"classes": 3, "weight": 0}, "data.heads.x.weight"),
        ({"classes": 3, "colour": "red"}, "colour"),
    ],
)
def test_bad_block_is_refused_by_key(fields, named):
    with pytest.raises(InputError, match=named):
        Heads.from_config({"x": fields})


def test_no_heads_is_refused():
    with pytest.raises(InputError, match="at least one head"):
        Heads.from_config({})
