"""Publishing: a verified bundle becomes a new version in a Triton model repository, and the last one can be taken back.

The ledger says beforehand what is about to happen, so that the next command clears away what a stopped one left behind.
"""

from collections.abc import Iterator
from pathlib import Path

from service.contract.graphs import GraphSpec, TensorSpec, find_format, graph_specs
from service.contract.layout import GraphFormat, config_file
from service.contract.manifest import Bundle, open_bundle
from training.errors import PublishError
from training.export.verify import verify_bundle
from training.publishing.repository import (
    LEDGER_NAME,
    Ledger,
    Publication,
    PublishedFile,
    PublishedModel,
    TritonRepository,
)

NUM_KEPT = 3


def publish_bundle(directory: Path, *, to: str, num_kept: int = NUM_KEPT) -> Publication:
    """Prove that a bundle gives the same answers on every engine, and publish it.

    Raises:
        BundleError: the bundle is altered, or an engine differs.
        PublishError: as ``publish_verified`` says.
    """
    verify_bundle(directory)
    return publish_verified(directory, to=to, num_kept=num_kept)


def publish_verified(directory: Path, *, to: str, num_kept: int = NUM_KEPT) -> Publication:
    """Publish a bundle as the current version; where it is that already, nothing happens.

    Args:
        directory: the folder of a bundle of which it is known that every engine gives its answers.
        to: the repository, a folder or a URL.
        num_kept: versions that stay, the new one included; with one alone nothing can be taken back.

    Raises:
        BundleError: the bundle is altered.
        PublishError: the repository is not one of this command, is in use, or serves bundles of another shape.
    """
    bundle = open_bundle(directory)
    models = _describe_models(bundle)
    repository = TritonRepository(to)
    with repository.work():
        ledger = repository.read_ledger() or Ledger()
        _check_versions(repository, ledger, bundle)
        ledger = _clear(repository, ledger)
        current = ledger.find(ledger.current)
        if current is not None and current.digest == bundle.digest:
            return current
        arriving = Publication(
            version=ledger.last_version + 1,
            state="arriving",
            name=bundle.manifest.name,
            digest=bundle.digest,
            models=models,
        )
        _check_interfaces(ledger, arriving, url=to)
        ledger = ledger.model_copy(
            update={"last_version": arriving.version, "publications": (*ledger.publications, arriving)}
        )
        repository.write_ledger(ledger)
        try:
            _add(repository, arriving, bundle=bundle)
        except BaseException:
            _clear(repository, ledger)
            raise
        return _make_current(repository, ledger, arriving, num_kept=num_kept)


def roll_back(repository_url: str) -> Publication:
    """Take the current version back, so that the one before is current again; a rollback that was stopped is finished.

    Raises:
        PublishError: nothing was published there, there is no version before, or it is not complete any more.
    """
    repository = TritonRepository(repository_url)
    if repository.read_ledger() is None:
        raise PublishError(f"{repository_url} has no {LEDGER_NAME}: nothing was published there")
    with repository.work():
        ledger = repository.read_ledger() or Ledger()
        was_stopped = any(each.state == "withdrawn" for each in ledger.publications)
        ledger = _clear(repository, ledger)
        current = ledger.find(ledger.current)
        if was_stopped and current is not None:
            return current
        before = [each for each in ledger.published if current is not None and each.version < current.version]
        if current is None or not before:
            raise PublishError(
                f"{repository_url} has {_name_versions(ledger)} and none before it; publish another bundle"
            )
        for name, model in before[-1].models.items():
            repository.check_version(name, version=before[-1].version, files=model.files)
        withdrawn = current.model_copy(update={"state": "withdrawn"})
        ledger = ledger.model_copy(update={"current": before[-1].version, "publications": ledger.replace(withdrawn)})
        repository.write_ledger(ledger)
        _clear(repository, ledger)
        return before[-1]


def _describe_models(bundle: Bundle) -> dict[str, PublishedModel]:
    graph_format = find_format(bundle.manifest)
    models = {}
    for spec in graph_specs(bundle.manifest):
        config = config_file(spec.name)
        if config not in bundle.manifest.files:
            raise PublishError(f"{bundle.directory} has no {config}, which Triton needs; export the bundle again")
        sources = _sources(bundle, spec.name)
        files = {
            name: PublishedFile(digest=bundle.manifest.files[f"{spec.name}/1/{name}"], num_bytes=path.stat().st_size)
            for name, path in sources.items()
        }
        models[spec.name] = PublishedModel(
            interface=_render_interface(spec, graph_format),
            config=(bundle.directory / config).read_text(encoding="utf-8"),
            files=files,
        )
    return models


def _sources(bundle: Bundle, model: str) -> dict[str, Path]:
    """Files of a model's version folder by their names in it."""
    folder = f"{model}/1/"
    names = [name for name in bundle.manifest.files if name.startswith(folder)]
    return {name.removeprefix(folder): bundle.directory / name for name in names}


def _add(repository: TritonRepository, arriving: Publication, *, bundle: Bundle) -> None:
    # The video encoder comes first in a bundle and last here: who finds it finds the text encoders too.
    for name, model in reversed(arriving.models.items()):
        sources = _sources(bundle, name)
        repository.add_version(name, version=arriving.version, sources=sources, files=model.files)
    for name, model in arriving.models.items():
        repository.write_config(name, text=model.config)


def _make_current(repository: TritonRepository, ledger: Ledger, arrived: Publication, *, num_kept: int) -> Publication:
    published = arrived.model_copy(update={"state": "published"})
    kept = [*ledger.published, published][-num_kept:]
    outdated = [each.model_copy(update={"state": "outdated"}) for each in ledger.published if each not in kept]
    ledger = ledger.model_copy(
        update={"current": published.version, "publications": ledger.replace(published, *outdated)}
    )
    repository.write_ledger(ledger)
    _clear(repository, ledger)
    return published


def _clear(repository: TritonRepository, ledger: Ledger) -> Ledger:
    """Remove what is not published, put the current configurations in place, and forget what was removed."""
    leaving = [each for each in ledger.publications if each.state != "published"]
    if not leaving:
        return ledger
    current = ledger.find(ledger.current)
    for name, model in current.models.items() if current is not None else ():
        repository.write_config(name, text=model.config)
    for publication in leaving:
        for name in publication.models:
            repository.remove_version(name, version=publication.version)
            if not any(name in each.models for each in ledger.published):
                repository.remove_model(name)
    ledger = ledger.model_copy(update={"publications": ledger.published})
    repository.write_ledger(ledger)
    return ledger


def _check_versions(repository: TritonRepository, ledger: Ledger, bundle: Bundle) -> None:
    """Refuse a repository in which somebody else put what Triton would serve in place of a publication."""
    for spec in graph_specs(bundle.manifest):
        known = {each.version for each in ledger.publications if spec.name in each.models}
        if not known and repository.has_model(spec.name):
            raise PublishError(
                f"{repository.url} holds a model {spec.name} that was not published there; choose another repository"
            )
        if foreign := sorted(set(repository.list_versions(spec.name)) - known):
            raise PublishError(
                f"{spec.name} in {repository.url} has the versions {foreign}, which {LEDGER_NAME} does not list; "
                "remove them"
            )


def _check_interfaces(ledger: Ledger, arriving: Publication, *, url: str) -> None:
    """Refuse a bundle whose graphs take or give something else, since versions of a model share a configuration."""
    for published in ledger.published:
        for name, model in arriving.models.items():
            there = published.models.get(name)
            if there is not None and there.interface != model.interface:
                raise PublishError(
                    f"{name} of version {published.version} in {url} is {there.interface}; that of {arriving.name} is "
                    f"{model.interface}; publish bundles of another shape to a repository of their own"
                )


def _render_interface(spec: GraphSpec, graph_format: GraphFormat) -> str:
    tensors = (", ".join(_render_tensors(own)) for own in (spec.inputs, spec.outputs))
    return f"{graph_format}: {' -> '.join(tensors)}"


def _render_tensors(tensors: tuple[TensorSpec, ...]) -> Iterator[str]:
    for tensor in tensors:
        yield f"{tensor.name} {tensor.dtype} [{', '.join(map(str, tensor.axes))}]"


def _name_versions(ledger: Ledger) -> str:
    versions = [str(each.version) for each in ledger.published]
    return f"version {versions[0]}" if versions else "no version"
