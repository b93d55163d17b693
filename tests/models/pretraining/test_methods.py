import pytest
import torch
from torch.nn import functional

from okkhor.heads import Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.pretraining.byol import BYOL
from okkhor.models.pretraining.simclr import SimCLR

HEADS = Heads.from_config({"root": {"classes": 6, "weight": 2}, "vowel": {"classes": 4}})


def parts(method, **options):
    torch.manual_seed(0)
    net = MultiHeadClassifier(HEADS, options={"widths": [8, 16], "blocks": [1, 0]})
    return net, method(net, hidden=16, output=8, **options)


def views(count=6):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, count, 1, 16, 24), dtype=torch.uint8, generator=generator).unbind(0)


def nt_xent(first, second, temperature):
    """Equation 1 of arXiv:2002.05709, pair by pair."""
    z = [*first, *second]
    half, total = len(first), 0.0

    def similarity(i, k):
        return torch.dot(z[i], z[k]) / (z[i].norm() * z[k].norm()) / temperature

    for i in range(len(z)):
        other = (i + half) % len(z)
        everyone = torch.stack([similarity(i, k) for k in range(len(z)) if k != i])
        total = total - similarity(i, other) + torch.logsumexp(everyone, 0)
    return total / len(z)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_simclr_is_the_paper_s_loss_of_the_projected_views(temperature):
    net, method = parts(SimCLR, temperature=temperature)
    first, second = views()
    loss = method.loss(net, first, second)
    together = method.projection(net.features(torch.cat([first, second]))).detach()
    assert loss.item() == pytest.approx(nt_xent(*together.chunk(2), temperature).item(), rel=1e-5)
    loss.backward()
    assert net.backbone.layers[0][0].weight.grad.abs().sum() > 0
    assert net.head_layers["root"].weight.grad is None


def test_simclr_is_the_lower_the_more_alike_views_of_one_image_are():
    net, method = parts(SimCLR)
    first, second = views(12)
    assert method.loss(net, first, first) < method.loss(net, first, second)


def test_byol_is_the_paper_s_loss_and_the_target_gets_no_gradient():
    net, method = parts(BYOL)
    method.target.backbone.layers[0][0].weight.data.mul_(1.3)  # so that it is not the network itself
    first, second = views()
    loss = method.loss(net, first, second)
    expected = 0.0
    for seen, other in ((first, second), (second, first)):
        said = functional.normalize(method.prediction(method.projection(net.features(seen))), dim=1)
        told = functional.normalize(method.target_projection(method.target.features(other)), dim=1)
        expected += (2 - (said - told).square().sum(1)).mean().item() / 2  # 2 - the paper's is twice the cosine
    assert loss.item() == pytest.approx(-expected / 2, rel=1e-5)
    loss.backward()
    assert net.backbone.layers[0][0].weight.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in [*method.target.parameters(), *method.target_projection.parameters()])


@pytest.mark.parametrize(("done", "kept"), [(0.0, 0.9), (0.5, 0.95), (1.0, 1.0)])
def test_the_target_follows_slower_and_slower(done, kept):
    net, method = parts(BYOL, momentum=0.9)
    before = [p.clone() for p in method.target.parameters()]
    for p in [*net.parameters(), *method.projection.parameters()]:
        p.data.add_(1.0)
    method.follow(net, done)
    for old, new in zip(before, method.target.parameters(), strict=True):
        assert torch.allclose(new, old + 1 - kept, atol=1e-5)
    assert method.target_projection.layers[0].weight.sub(method.projection.layers[0].weight).abs().max() <= kept + 1e-5


def test_the_target_starts_from_what_the_network_starts_from():
    net, method = parts(BYOL)
    for p in net.parameters():
        p.data.add_(1.0)
    method.start_from(net)
    assert all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), method.target.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("method", [SimCLR, BYOL])
def test_half_precision_does_not_reach_the_similarities(method):
    net, made = parts(method)
    with torch.autocast("cpu", torch.bfloat16):
        loss = made.loss(net, *views())
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_a_momentum_that_is_no_share_is_refused():
    with pytest.raises(ValueError, match="momentum: expected a share from 0 to 1, got 2"):
        parts(BYOL, momentum=2)
