"""Grad-CAM against derivatives written out by hand, and on every kind of network."""

import pytest
import torch
from torch import nn

from okkhor.heads import Head, Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.gradcam import grad_cam

HEADS = Heads([Head("root", "root", 5, 2.0), Head("vowel", "vowel", 3)])
SMALL = {"widths": [4, 6], "blocks": [0, 0]}


def network(backbone="small", seed=0, **options):
    torch.manual_seed(seed)
    options = {"options": SMALL if backbone == "small" else None} | options
    return MultiHeadClassifier(HEADS, backbone, **options).eval()


def images(count=3, size=(24, 32)):
    return torch.randint(0, 256, (count, 1, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


CLASSES = torch.tensor([[0, 1], [4, 2], [2, 0]])


def feature_maps(net):
    with torch.no_grad():
        return net.backbone(net.prepare(images()))


def by_hand(features, gradient):
    """features, gradient: (B, C, h, w) -> the map (B, h, w), summed channel by channel."""
    total = torch.zeros_like(features[:, 0])
    for channel in range(features.shape[1]):
        total += gradient[:, channel].mean((1, 2))[:, None, None] * features[:, channel]
    return total.clamp(min=0)


def test_with_average_pooling_it_is_the_class_activation_map():
    net = network(pool="avg")
    features = feature_maps(net)
    found = grad_cam(net, images(), CLASSES)
    for column, head in enumerate(HEADS):
        weights = net.head_layers[head.name].weight[CLASSES[:, column]].detach()
        places = features.shape[2] * features.shape[3]
        expected = torch.einsum("bc,bchw->bhw", weights, features).clamp(min=0) / places
        torch.testing.assert_close(found[:, column], expected)


def test_with_generalized_mean_pooling_it_follows_the_written_out_derivative():
    net = network(pool="gem")
    x = feature_maps(net).clamp(min=1e-6)
    p = net.pool.exponent.detach()
    found = grad_cam(net, images(), CLASSES)
    places = x.shape[2] * x.shape[3]
    for column, head in enumerate(HEADS):
        weights = net.head_layers[head.name].weight[CLASSES[:, column]].detach()[:, :, None, None]
        mean = x.pow(p).mean((2, 3), keepdim=True)
        gradient = weights * mean.pow(1 / p - 1) * x.pow(p - 1) / places
        gradient = torch.where(feature_maps(net) < 1e-6, 0, gradient)  # the floor lets no derivative through
        torch.testing.assert_close(found[:, column], by_hand(feature_maps(net), gradient), atol=1e-6, rtol=1e-4)


def test_with_a_grapheme_head_it_is_that_of_the_summed_exponentials():
    net = network(pool="avg", grapheme_head=True)
    net.learn_labels(torch.tensor([[0, 0], [0, 1], [2, 0], [4, 2], [3, 1]]))
    net = net.double()
    with torch.no_grad():
        features = net.backbone(net.prepare(images()))
    found = grad_cam(net, images(), CLASSES)

    def scores(x, column):
        whole = net.combinations(net.pool(x))
        known = net.combinations.combinations[:, column]
        return torch.stack(
            [row[known == c].exp().sum().log() for row, c in zip(whole, CLASSES[:, column], strict=True)]
        )

    for column in range(2):
        gradient = torch.zeros_like(features)
        for channel in range(features.shape[1]):  # average pooling: the derivative is the same at every place
            step = torch.zeros_like(features)
            step[:, channel, 0, 0] = 1e-5
            with torch.no_grad():
                slope = (scores(features + step, column) - scores(features - step, column)) / 2e-5
            gradient[:, channel] = slope[:, None, None]
        torch.testing.assert_close(found[:, column].double(), by_hand(features, gradient), atol=1e-6, rtol=1e-4)


def test_a_class_that_no_combination_has_gets_an_empty_map():
    net = network(grapheme_head=True)
    net.learn_labels(torch.tensor([[0, 0], [2, 1]]))
    found = grad_cam(net, images(), torch.tensor([[1, 0], [0, 0], [0, 2]]))
    assert (found[0, 0] == 0).all()
    assert (found[2, 1] == 0).all()
    assert torch.isfinite(found).all()


def test_decision_and_views_change_nothing():
    plain = network(pool="gem")
    other = network(decision="prior_corrected", power=0.8, tta=[[0.1, 0.0]])
    other.learn_labels(torch.tensor([[0, 0], [0, 1], [2, 2]]))
    torch.testing.assert_close(grad_cam(plain, images(), CLASSES), grad_cam(other, images(), CLASSES))


def test_an_image_is_explained_alike_alone_and_nothing_of_the_network_changes():
    net = network(pool="gem_each")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    together = grad_cam(net, images(), CLASSES)
    alone = torch.cat([grad_cam(net, images()[k : k + 1], CLASSES[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(together, alone)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize(
    ("backbone", "options", "shape"),
    [
        ("torchvision/resnet18", None, (1, 2)),
        ("torchvision/mobilenet_v3_small", None, (1, 2)),
        ("timm/resnet10t", None, (1, 2)),
        ("timm/vit_tiny_patch16_224", {"img_size": [32, 48], "depth": 1}, (2, 3)),
    ],
)
def test_maps_lie_as_the_image_does_in_every_library(backbone, options, shape):
    net = network(backbone, options=options)
    found = grad_cam(net, images(2, (32, 48)), CLASSES[:2])
    assert found.shape == (2, 2, *shape)
    assert (found >= 0).all()
    assert found.dtype == torch.float32


def test_a_patch_of_a_transformer_keeps_its_place():
    net = network("timm/vit_tiny_patch16_224", options={"img_size": [32, 48], "depth": 1})

    class OnlyTokenFive(nn.Module):
        """In place of the transformer: a class token, then six patches, of which the fifth alone is not 0."""

        network = net.backbone.network

        def forward(self, x):
            tokens = torch.zeros(len(x), 7, 192)
            tokens[:, 5] = net.head_layers["root"].weight[0].detach()
            return tokens.transpose(1, 2).unsqueeze(-1)

    net.backbone, net.pool = OnlyTokenFive(), network(pool="avg").pool
    found = grad_cam(net, images(1, (32, 48)), torch.zeros(1, 2, dtype=torch.int64))[0, 0]
    assert found.nonzero().tolist() == [[1, 1]]
