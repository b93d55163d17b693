"""Test-time augmentation: an image read several times, a little shifted and scaled, and the answers averaged."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from okkhor.errors import InputError
from okkhor.models.view_list import VIEW, is_view


class Views(nn.Module):
    """The image itself and a list of views of it, one behind another in a larger batch (arXiv:1512.03385, 10 crops).

    given: views as `VIEW` says, the image itself not among them. What comes into view from beyond the edge is white.
    Has no weights and no state, so that any checkpoint of a network can be read with any views.
    """

    def __init__(self, given: Sequence[Sequence[float]] = ()) -> None:
        super().__init__()
        for view in given:
            if not is_view(view):
                raise InputError(f"model.tta: expected a list of {VIEW}, got {list(view)}")
        self.count = 1 + len(given)
        # where each pixel of a view comes from, in coordinates of -1 to 1 across the image
        places = [
            [[1 / scale, 0, -2 * right / scale], [0, 1 / scale, -2 * down / scale]]
            for down, right, scale in ((*view, 1.0)[:3] for view in given)
        ]
        self.register_buffer("places", torch.tensor(places).reshape(-1, 2, 3), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Raw pixels (B, 1, H, W), uint8 or float -> float32 (views × B, 1, H, W); without views as they come."""
        if self.count == 1:
            return images
        ink = 255 - images.float()
        batch, _, height, width = images.shape
        # one view for all images: its grid is repeated along the batch, whose length an exported graph leaves open
        grids = functional.affine_grid(self.places.float(), [self.count - 1, 1, height, width], align_corners=False)
        seen = [functional.grid_sample(ink, grid.expand(batch, -1, -1, -1), align_corners=False) for grid in grids]
        return 255 - torch.cat([ink, *seen])

    def mean(self, values: Tensor) -> Tensor:
        """Values of all views (views × B, …) -> their mean (B, …)."""
        return values if self.count == 1 else self._by_view(values).mean(0)

    def mean_logits(self, logits: Tensor) -> Tensor:
        """Logits of all views (views × B, K) -> logarithms of the means of their probabilities (B, K)."""
        return logits if self.count == 1 else self.mean(logits.float().softmax(1)).log()

    def plain(self, values: Tensor) -> Tensor:
        """Values of all views (views × B, …) -> those of the images themselves (B, …)."""
        return values if self.count == 1 else self._by_view(values)[0]

    def _by_view(self, values: Tensor) -> Tensor:
        return values.reshape(self.count, -1, *values.shape[1:])
