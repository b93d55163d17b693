import pytest
import torch
from torch import nn

from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.backbones import build_backbone, one_channel
from okkhor.models.classifier import GeneralizedMean, MultiHeadClassifier

HEADS = Heads.from_config({"root": {"classes": 6, "weight": 2}, "vowel": {"classes": 4}})
NAMES = ["small", "torchvision/resnet18", "torchvision/efficientnet_b0", "timm/resnet18", "timm/convnext_atto"]


def images(batch=2, height=64, width=96):
    return torch.randint(0, 256, (batch, 1, height, width), dtype=torch.uint8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pool", ["avg", "gem"])
def test_raw_gray_images_to_logits_of_each_head(name, pool):
    net = MultiHeadClassifier(HEADS, name, pool=pool).eval()
    logits = net(images())
    assert [tuple(x.shape) for x in logits] == [(2, 6), (2, 4)]
    assert all(torch.isfinite(x).all() for x in logits)


def test_with_a_pooling_for_each_head_one_may_look_elsewhere_and_leave_the_others_as_they_were():
    torch.manual_seed(0)
    net, batch = MultiHeadClassifier(HEADS, pool="gem_each").eval(), images()
    shared = MultiHeadClassifier(HEADS, pool="gem").eval()
    shared.load_state_dict({k: v for k, v in net.state_dict().items() if not k.startswith("pool.")}, strict=False)
    for ours, theirs in zip(net(batch), shared(batch), strict=True):  # they begin alike
        torch.testing.assert_close(ours, theirs)
    before = net(batch)
    with torch.no_grad():
        net.pool.of_heads[1].exponent.fill_(1.0)
    after = net(batch)
    assert torch.equal(after[0], before[0])
    assert not torch.allclose(after[1], before[1])
    with pytest.raises(InputError, match=r"model\.pool"):
        MultiHeadClassifier(HEADS, pool="gem_each", grapheme_head=True)


def test_float_images_on_the_same_scale_give_the_same_logits():
    net = MultiHeadClassifier(HEADS).eval()
    batch = images()
    for ours, theirs in zip(net(batch), net(batch.float()), strict=True):
        assert torch.allclose(ours, theirs)


def test_every_head_has_a_gradient_of_its_own():
    net = MultiHeadClassifier(HEADS)
    net(images())[1].sum().backward()
    assert net.head_layers["vowel"].weight.grad is not None
    assert net.head_layers["root"].weight.grad is None


def test_first_convolution_equals_the_gray_image_repeated():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3))
    gray = torch.rand(1, 1, 9, 9)
    expected = network(gray.expand(-1, 3, -1, -1))
    one_channel(network)
    assert torch.allclose(network(gray), expected, atol=1e-6)


def test_generalized_mean_with_exponent_one_is_the_mean_and_grows_to_the_maximum():
    features = torch.rand(3, 5, 4, 6)
    assert torch.allclose(GeneralizedMean(1.0)(features), features.mean((2, 3)), atol=1e-5)
    assert torch.allclose(GeneralizedMean(200.0)(features), features.amax((2, 3)), atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"backbone": "resnet17"}, "model.backbone.*resnet17"),
        ({"backbone": "keras/resnet18"}, "model.backbone.*keras"),
        ({"pool": "max"}, "model.pool.*avg, gem"),
        ({"pretrained": True}, "model.pretrained"),
        ({"options": {"depth": 3}}, "model.options.*depth"),
        ({"options": {"widths": [8], "blocks": [1, 1]}}, "one length"),
        ({"backbone": "torchvision/vit_b_16"}, "no feature map"),
    ],
)
def test_impossible_models_are_refused_by_key(arguments, said):
    with pytest.raises(InputError, match=said):
        MultiHeadClassifier(HEADS, **arguments)


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18"])
def test_pretrained_weights_that_cannot_be_fetched_say_so(name, monkeypatch, tmp_path):
    # no network in tests: both libraries are pointed at an empty cache and a proxy that nothing listens on
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it tries for most of a minute
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(InputError, match=r"model\.pretrained=false"):
        build_backbone(name, pretrained=True)
