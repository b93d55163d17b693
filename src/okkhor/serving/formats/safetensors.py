"""safetensors (https://github.com/huggingface/safetensors): the weights alone; bundle.yaml says which network."""

from pathlib import Path

from torch import Tensor, nn

from okkhor.serving.graph import ServedGraph


def write_safetensors(graph: nn.Module, example: Tensor, heads: list[str], path: Path) -> None:
    """The classifier's own parameters and buffers, by the names of its checkpoint."""
    from safetensors.torch import save_file

    assert isinstance(graph, ServedGraph)
    save_file({name: value.contiguous() for name, value in graph.net.state_dict().items()}, path)
