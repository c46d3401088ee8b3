"""Keeps the wanted versions of every model loaded: a new version beside the old one, then the old one goes.

Everything here runs on one event loop, which is why there are no locks. Loading, unloading and looking at
directories happen in threads of their own, never in those that answer requests.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from deploy.serving.model_config import Labels, check_transition
from deploy.serving.servable import Model, Servable, State
from deploy.serving.status import InternalError, InvalidArgumentError, NotFoundError, ServingError, UnknownError
from deploy.serving.versions import Fingerprint, fingerprint, version_directories, wanted_versions

logger = logging.getLogger("attention.serving")

_DRAIN_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class LoadOptions:
    """How versions are looked for and loaded; names and defaults are those of the original's flags."""

    file_system_poll_wait_seconds: float = 1.0
    max_num_load_retries: int = 5
    load_retry_interval_seconds: float = 60.0
    allow_version_labels_for_unavailable_models: bool = False


@dataclass
class _ManagedModel:
    config: Any
    versions: dict[int, Servable] = field(default_factory=dict)
    wanted: set[int] = field(default_factory=set)
    base_path_error: ServingError | None = None

    def available(self) -> set[int]:
        return {version for version, servable in self.versions.items() if servable.state is State.AVAILABLE}


class ModelManager:
    """Finds, loads, hands out and unloads model versions."""

    def __init__(self, load: Callable[[Servable], Model], options: LoadOptions) -> None:
        """Starts with no model.

        Args:
            load: Loads and warms up one version; runs in a thread; raises ServingError with the reason.
            options: Times and retries.
        """
        self._load_model = load
        self._options = options
        self._models: dict[str, _ManagedModel] = {}
        self._config: Any | None = None
        self._labels = Labels(options.allow_version_labels_for_unavailable_models)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model-load")
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    async def reload(self, config: Any, wait_for_base_path: bool = False) -> None:
        """Changes to another config; models that are new in it are loaded when this returns.

        Args:
            config: ModelServerConfig.
            wait_for_base_path: A base path that is not there yet is waited for, not an error.

        Raises:
            ServingError: The config is refused (the one in force stays), or a new model did not come up.
        """
        async with self._reloading:
            check_transition(self._config, config)
            self._labels.assign(config, {name: model.available() for name, model in self._models.items()})
            listed = {model.name: model for model in config.model_config_list.config}
            known = set() if self._config is None else {m.name for m in self._config.model_config_list.config}
            self._config = config
            for name, model in self._models.items():
                if name not in listed:
                    logger.info("Model %s is no longer listed; unloading it.", name)
                    self._want(model, {})
            for name, model_config in listed.items():
                self._models.setdefault(name, _ManagedModel(model_config)).config = model_config
            new = [name for name in listed if name not in known]
            await self._poll_once()
            await self._until_available(new, wait_for_base_path)

    def start(self) -> None:
        """Begins to look for new versions every `file_system_poll_wait_seconds`; 0 or less: never again."""
        if self._options.file_system_poll_wait_seconds > 0:
            self._spawn(self._poll_forever())

    async def stop(self) -> None:
        """Ends all background work and frees every model; requests must have been drained."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for model in self._models.values():
            for servable in model.versions.values():
                if servable.model is not None:
                    await self._unload(servable)
        self._pool.shutdown(wait=True)

    def find(self, model_spec: Any) -> Servable:
        """The version that answers a request; the caller holds it before it awaits anything.

        Raises:
            ServingError: Nothing that is available fits the ModelSpec.
        """
        name = model_spec.name
        if not name:
            raise InvalidArgumentError("ModelSpec has no name specified.")
        choice = model_spec.WhichOneof("version_choice")
        version: int | None = None
        if choice == "version":
            version = model_spec.version.value
        elif choice == "version_label" and model_spec.version_label:
            version = self._labels.version(name, model_spec.version_label)
        model = self._models.get(name)
        available = model.available() if model else set()
        if version is None and available:
            version = max(available)
        if model is None or version not in available:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise NotFoundError(f"Servable not found for request: {wanted}")
        return model.versions[version]

    def states(self, name: str) -> list[Servable]:
        """All versions of a model that were ever wanted, newest first."""
        model = self._models.get(name)
        return sorted(model.versions.values(), key=lambda s: -s.version) if model else []

    def servables(self) -> Iterator[Servable]:
        """All versions of all models that were ever wanted."""
        for model in self._models.values():
            yield from model.versions.values()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _poll_forever(self) -> None:
        while True:
            await asyncio.sleep(self._options.file_system_poll_wait_seconds)
            await self._poll_once()

    async def _poll_once(self) -> None:
        config = self._config
        listed = [] if config is None else [model.name for model in config.model_config_list.config]
        for name in listed:
            model = self._models[name]
            try:
                found, prints = await asyncio.to_thread(self._look, name, model)
            except InvalidArgumentError as error:
                # A base path that went away for a moment must not unload what serves.
                if model.base_path_error is None:
                    logger.error("%s", error.message)
                model.base_path_error = error
                continue
            model.base_path_error = None
            if self._config is config:
                self._want(model, found, prints)

    def _look(self, name: str, model: _ManagedModel) -> tuple[dict[int, str], dict[int, Fingerprint]]:
        """Runs in a thread: the wanted versions, and the state of the directories that are not loaded."""
        found = version_directories(model.config.base_path, name)
        wanted = wanted_versions(model.config.model_version_policy, found)
        paths = {version: found[version] for version in wanted}
        loaded = model.available()
        return paths, {version: fingerprint(path) for version, path in paths.items() if version not in loaded}

    def _want(self, model: _ManagedModel, paths: dict[int, str], prints: dict[int, Fingerprint] | None = None) -> None:
        """Starts loading what is wanted and not there, and retires what is there and not wanted."""
        model.wanted = set(paths)
        for version in sorted(paths, reverse=True):
            now = (prints or {}).get(version, ())
            servable = model.versions.get(version)
            if servable is not None and servable.state is not State.END:
                if servable.state is not State.UNLOADING:
                    servable.wanted = True
                if servable.state is State.LOADING:
                    servable.look(now)
                continue
            if servable is not None and servable.error is not None and servable.fingerprint == now:
                continue  # it failed for good, and nothing in it changed since
            servable = Servable(model.config.name, version, paths[version], fingerprint=now)
            model.versions[version] = servable
            self._spawn(self._bring_up(model, servable))
        for version, servable in model.versions.items():
            if version not in paths:
                servable.wanted = False
                servable.changed.set()
        self._retire(model)

    async def _bring_up(self, model: _ManagedModel, servable: Servable) -> None:
        loop = asyncio.get_running_loop()
        error: ServingError | None = None
        retries = self._options.max_num_load_retries
        while servable.wanted and retries >= 0:
            servable.changed.clear()
            servable.move_to(State.LOADING, error)
            loading = loop.run_in_executor(self._pool, self._load_model, servable)
            await asyncio.wait([loading])
            failure = loading.exception()
            if failure is not None:
                # Whatever a directory full of anything brings up: this version is refused, the server lives on.
                error = failure if isinstance(failure, ServingError) else InternalError(repr(failure))
                logger.error("%s is refused: %s", servable, error)
                servable.error = error
                retries -= 1
                if retries >= 0 and await _wait(servable.changed, self._options.load_retry_interval_seconds):
                    retries = self._options.max_num_load_retries  # another directory now, so it starts anew
                continue
            servable.model = loading.result()
            servable.move_to(State.AVAILABLE)
            logger.info("%s is available, from %s.", servable, servable.path)
            self._retire(model)
            return
        servable.move_to(State.END, error)

    def _retire(self, model: _ManagedModel) -> None:
        """Unloads what is not wanted any more, but never the last version while a wanted one is still coming."""
        available = model.available()
        if model.wanted and not (available & model.wanted):
            return
        for version in available - model.wanted:
            servable = model.versions[version]
            servable.move_to(State.UNLOADING)
            self._spawn(self._unload(servable))

    async def _unload(self, servable: Servable) -> None:
        servable.move_to(State.UNLOADING)
        while servable.running:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        model, servable.model = servable.model, None
        if model is not None:
            await asyncio.get_running_loop().run_in_executor(self._pool, model.close)
        servable.move_to(State.END)
        logger.info("%s is unloaded.", servable)

    async def _until_available(self, names: list[str], wait_for_base_path: bool) -> None:
        missing: list[str] = []
        for name in names:
            model = self._models[name]
            while not model.available():
                if any(servable.state is not State.END for servable in model.versions.values()):
                    await asyncio.sleep(_DRAIN_POLL_SECONDS)
                    continue
                failed = [servable for servable in model.versions.values() if servable.error is not None]
                if failed:
                    missing += [f"{{{servable} due to error: {servable.error}}}" for servable in failed]
                    break
                if not model.wanted and not wait_for_base_path:
                    reason = model.base_path_error or f"no version under {model.config.base_path}"
                    missing.append(f"{{{{name: {name}}} due to error: {reason}}}")
                    break
                await asyncio.sleep(max(self._options.file_system_poll_wait_seconds, _DRAIN_POLL_SECONDS))
                await self._poll_once()
        if missing:
            raise UnknownError(f"{len(missing)} model(s) did not become available: {{{', '.join(missing)}, }}")


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event came within the time."""
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
