"""The score of the task: macro recall of each head, weighted as the heads block says."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassRecall

from okkhor.heads import Heads


class HeadsScore(nn.Module):
    """Macro recall per head and their weighted mean, as scikit-learn's recall_score(average="macro") has it.

    A class that is neither in the labels nor predicted does not count; one that is predicted but never true
    counts as 0, as in the competition's own scoring. Labels of -1 (padding) are passed over. Exact under DDP:
    the counts are summed over ranks, not the recalls.
    """

    def __init__(self, heads: Heads, *, across_ranks: bool = True) -> None:
        """across_ranks: sum the counts of all processes, which must then all compute; False: of this one alone."""
        super().__init__()
        self.names = heads.names
        self.shares = heads.shares
        self.recalls = MetricCollection(
            {
                head.name: MulticlassRecall(
                    head.classes,
                    average="macro",
                    ignore_index=-1,
                    validate_args=False,
                    sync_on_compute=across_ranks,
                )
                for head in heads
            },
            compute_groups=False,  # heads differ in their classes: there is no state to share
        )

    def update(self, predicted: Tensor, labels: Tensor) -> None:
        """predicted, labels: int64 (B, heads)."""
        for column, name in enumerate(self.names):
            self.recalls[name].update(predicted[:, column], labels[:, column])

    def compute(self) -> dict[str, Tensor]:
        """`score` and `recall_<head>`, scalars."""
        recalls = self.recalls.compute()
        score = sum(share * recalls[name] for name, share in zip(self.names, self.shares, strict=True))
        return {"score": score} | {f"recall_{name}": recalls[name] for name in self.names}

    def reset(self) -> None:
        self.recalls.reset()


class EpochMeter(nn.Module):
    """Loss and score of one stage over an epoch, exact under DDP; its state is not saved in checkpoints."""

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        # a loss that is NaN ends the run elsewhere, with a message that names the batch; "disable" drops weights
        self.loss = MeanMetric(nan_strategy="ignore")
        self.score = HeadsScore(heads)

    def update(self, loss: Tensor, samples: int, logits: Sequence[Tensor], labels: Tensor) -> None:
        """loss: the mean over `samples` real samples; logits: (B, classes) of each head; labels: int64 (B, heads)."""
        self.loss.update(loss.detach(), weight=samples)
        self.score.update(torch.stack([x.detach().argmax(1) for x in logits], 1), labels)

    def finish(self) -> dict[str, Tensor]:
        """`loss`, `score` and `recall_<head>` of the epoch; then it starts anew."""
        values = {"loss": self.loss.compute(), **self.score.compute()}
        self.loss.reset()
        self.score.reset()
        return values
