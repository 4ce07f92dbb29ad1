"""Model repositories for a server: the graphs of a bundle under configurations that a test chooses."""

import shutil
from pathlib import Path

from service.contract.graphs import find_format, graph_specs
from service.contract.manifest import Bundle
from training.export.triton import Deployment, render_triton_config


def write_repository(
    bundle: Bundle, directory: Path, *, deployment: Deployment | None = None, delay_seconds: float = 0.0
) -> Path:
    """Copy a bundle's graphs, with configurations of their own; a delay slows every execution down."""
    for spec in graph_specs(bundle.manifest):
        shutil.copytree(bundle.directory / spec.name, directory / spec.name)
        config = render_triton_config(spec, graph_format=find_format(bundle.manifest), deployment=deployment)
        if delay_seconds:
            config += f'parameters {{ key: "shim_delay_seconds" value {{ string_value: "{delay_seconds}" }} }}\n'
        (directory / spec.name / "config.pbtxt").write_text(config, encoding="utf-8")
    return directory
