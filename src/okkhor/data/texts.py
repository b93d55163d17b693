"""What classes are called: Bengali components for the reference task, folder names for class folders."""

from collections.abc import Callable, Sequence

from okkhor.data.store import Store
from okkhor.heads import Heads
from okkhor.labels import COLUMNS, read_class_map


def class_texts(heads: Heads, store: Store) -> tuple[dict[str, list[str]], Callable[[Sequence[int]], str] | None]:
    """Names of the classes by head, and a function from the labels of all heads to the text they spell.

    Heads without known names are absent from the first; the second is None where labels spell nothing.
    """
    if store.class_names:
        return {heads[0].name: list(store.class_names)}, None
    label_map, names = read_class_map(), label_texts(heads)
    if tuple(head.column for head in heads if head.name in names) != COLUMNS or len(heads) != len(COLUMNS):
        return names, None

    def compose(labels: Sequence[int]) -> str:
        root, vowel, consonant = labels
        return label_map.compose(root, vowel, consonant)

    return names, compose


def label_texts(heads: Heads) -> dict[str, list[str]]:
    """Names of the classes by head, of those heads that are components of Bengali graphemes."""
    names = read_class_map().names
    return {
        head.name: names[head.column]
        for head in heads
        if head.column in COLUMNS and len(names[head.column]) == head.classes
    }
