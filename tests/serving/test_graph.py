"""What is exported: raw pixels to probabilities, and maps that say exactly where a logit comes from."""

import pytest
import torch

from okkhor.heads import Head, Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.views import Views
from okkhor.serving.graph import ServedGraph

HEADS = Heads([Head("root", "root", 13), Head("vowel", "vowel", 5)])
IMAGES = torch.randint(0, 256, (3, 1, 40, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

LABELS = torch.cartesian_prod(torch.arange(13), torch.arange(5))[::2]


def graph_of(pool, **options):
    torch.manual_seed(1)
    small = {"widths": [4, 8, 8, 16], "blocks": [1, 1, 1, 0]}
    net = MultiHeadClassifier(HEADS, "small", pool=pool, options=small, **options)
    if net.needs_labels:
        rare = torch.cat([torch.zeros(40, 2, dtype=torch.int64), LABELS])
        net.learn_labels(rare)
    for layer in [net.combinations.layer] if net.combinations else net.head_layers.values():
        torch.nn.init.normal_(layer.bias)
    return ServedGraph(net.eval())


@torch.inference_mode()
@pytest.mark.parametrize("pool", ["avg", "gem"])
def test_probabilities_are_the_softmax_of_each_head_alone(pool):
    graph = graph_of(pool)
    *probabilities, maps = graph(IMAGES)
    for found, logits in zip(probabilities, graph.net(IMAGES), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, logits.softmax(1))
    assert maps.shape[:2] == (3, len(HEADS))


@torch.inference_mode()
def test_the_mean_of_a_map_and_the_bias_is_the_logit_of_the_likeliest_class():
    graph = graph_of("avg")
    *probabilities, maps = graph(IMAGES)
    for head, (layer, logits) in enumerate(zip(graph.net.head_layers.values(), graph.net(IMAGES), strict=True)):
        chosen = probabilities[head].argmax(1)
        own = logits[torch.arange(3), chosen]
        torch.testing.assert_close(maps[:, head].mean((1, 2)) + layer.bias[chosen], own)


@torch.inference_mode()
def test_an_image_reads_the_same_in_any_company():
    graph = graph_of("gem")
    together = graph(IMAGES)
    for row in range(3):
        for all_, one in zip(together, graph(IMAGES[row : row + 1]), strict=True):
            torch.testing.assert_close(all_[row : row + 1], one)


@torch.inference_mode()
def test_probabilities_are_corrected_by_the_decision_rule_and_maps_are_of_what_is_read():
    graph, plain = graph_of("avg", decision="prior_corrected", power=2.0), graph_of("avg")
    graph.net.load_state_dict(plain.net.state_dict(), strict=False)
    *probabilities, maps = graph(IMAGES)
    *before, _ = plain(IMAGES)
    changed = False
    for head, (layer, logits) in enumerate(zip(graph.net.head_layers.values(), graph.net(IMAGES), strict=True)):
        prior = graph.net.decision.of_heads[HEADS[head].name].log_prior
        expected = before[head] / prior.exp() ** 2
        torch.testing.assert_close(probabilities[head], expected / expected.sum(1, keepdim=True))
        chosen = probabilities[head].argmax(1)
        changed |= bool((chosen != before[head].argmax(1)).any())
        torch.testing.assert_close(maps[:, head].mean((1, 2)) + layer.bias[chosen], logits[torch.arange(3), chosen])
    assert changed


@torch.inference_mode()
def test_with_whole_combinations_maps_add_up_to_the_logarithm_of_the_class():
    graph = graph_of("avg", grapheme_head=True)
    *probabilities, maps = graph(IMAGES)
    combinations = graph.net.combinations
    *_, whole = graph.net(IMAGES)
    for head, logs in enumerate(combinations.of_heads(whole)):
        torch.testing.assert_close(probabilities[head], logs.exp())
        read_as = probabilities[head].argmax(1)
        shares = combinations.share_in(head, read_as, whole)
        entropy = torch.special.entr(shares).sum(1)
        members = combinations.combinations[:, head] == read_as[:, None]
        summed = whole.masked_fill(~members, -torch.inf).logsumexp(1)
        found = maps[:, head].mean((1, 2)) + shares @ combinations.layer.bias + entropy
        torch.testing.assert_close(found, summed)


@torch.inference_mode()
def test_views_are_averaged_in_probabilities_and_the_map_is_of_the_image_itself():
    views = [[0.1, 0], [0, -0.1, 1.1]]
    plain, graph = graph_of("avg"), graph_of("avg", tta=views)
    *found, maps = graph(IMAGES)
    seen = Views(views)(IMAGES).chunk(3)
    for head, probabilities in enumerate(found):
        each = torch.stack([plain(images)[head] for images in seen])
        torch.testing.assert_close(probabilities, each.mean(0))
        assert not torch.allclose(probabilities, each[0], atol=1e-4)
    own_maps = plain(IMAGES)[-1]
    same = [found[head].argmax(1) == plain(IMAGES)[head].argmax(1) for head in range(2)]
    assert any(chosen.any() for chosen in same)
    for head, chosen in enumerate(same):
        torch.testing.assert_close(maps[chosen, head], own_maps[chosen, head])
