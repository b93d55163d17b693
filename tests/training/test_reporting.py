"""A report of a network that has not learned anything: most images are misread, and all of it is explained."""

import numpy as np
import pytest
import torch

from okkhor.models.gradcam import grad_cam
from okkhor.reports.predictions import Predictions
from okkhor.training.build import build_data, build_module
from okkhor.training.reporting import explain, report_network
from okkhor.training.scoring import read, readings

CPU = torch.device("cpu")


@pytest.fixture
def parts(compose):
    def make(*options):
        config = compose(*options)
        data = build_data(config)
        torch.manual_seed(0)
        module = build_module(config, data.heads, labels=data.train_labels).eval()
        rows = data.rows("val")[:24]
        return module, data, rows, readings(data.store, rows, read(module, data.loader_of(rows), CPU, ""))

    return make


@pytest.mark.parametrize(
    "options", [(), ("model.grapheme_head=true", "model.decision=prior_corrected", "model.power=0.7")]
)
def test_maps_are_those_of_the_images_and_classes_that_they_stand_for(parts, options):
    module, data, rows, found = parts(*options)
    explained = explain(module.net, data, rows, found)
    assert len(explained.chosen) == 12
    for m, (index, column) in enumerate(explained.chosen.tolist()):
        image = torch.from_numpy(np.array(data.images[rows[index]]))[None, None]
        answer = [int(p[index].argmax()) for p in found.probabilities]
        for maps, classes in ((explained.truth, found.labels[index].tolist()), (explained.answer, answer)):
            alone = grad_cam(module.net, image, torch.tensor([classes]))[0, column].numpy()
            np.testing.assert_allclose(maps[m], alone, atol=1e-6)
        assert answer[column] != found.labels[index, column]


def test_the_report_has_it_all_and_other_images_get_a_folder_of_their_own(parts, tmp_path):
    module, data, rows, found = parts()
    run, other = tmp_path / "run", tmp_path / "other"
    (run / "logs").mkdir(parents=True)
    (run / "logs" / "metrics.csv").write_text("epoch,step,val/score\n0,9,0.5\n")
    written = report_network(run, module, data, rows, found, folder=other, of="24 images of elsewhere.")
    assert {path.parent for path in written} == {other}
    assert {"gradcam.png", "calibration.png", "index.html"} <= {path.name for path in written}
    kept = Predictions.read(other / "predictions.parquet")
    assert kept.image_ids == [data.store.image_ids[row] for row in rows]
    assert np.array_equal(kept.labels, data.labels_of(rows))
    assert kept.about["parameters"] == sum(weight.numel() for weight in module.net.parameters())
    assert not (other / "learning_curves.png").exists()
    assert "24 images of elsewhere." in (other / "index.html").read_text(encoding="utf-8")
