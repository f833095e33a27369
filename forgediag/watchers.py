"""Every configured Forge watched, with the one thread that hashes and verifies their files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from forgediag.config import Config, TargetConfig, state_dir
from forgediag.gpus import GpuSource
from forgediag.history import History, HistoryError
from forgediag.model import MB, Job, OptionChange
from forgediag.sources.hashing import Hasher
from forgediag.sources.local import LocalFacts
from forgediag.sources.records import JOURNAL, Records
from forgediag.watch import Watch

if TYPE_CHECKING:
    from forgediag.sources.sweep import Sweep


class Watchers:
    """The watches of one daemon. `busy` are the names of the Forges that generate now."""

    def __init__(
        self,
        config: Config,
        gpus: GpuSource,
        on_job: Callable[[Collection[str]], None],
        remember: Callable[[Job | OptionChange], object] | None,
        clocks: tuple[Callable[[], float], Callable[[], float]],
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            config: what to watch.
            gpus: where memory curves come from.
            on_job: told the names of all Forges that generate, whenever one begins or ends.
            remember: told of finished generations and changed options; None keeps none.
            clocks: monotonic seconds and Unix seconds.
        """
        self._config, self._gpus, self._on_job, self._remember = config, gpus, on_job, remember
        self._clock, self._wall = clocks
        self.busy: set[str] = set()
        self._records = Records(state_dir(config) / JOURNAL if config.hash_models or config.verify_models else None)
        self._hasher: Hasher | None = None
        if config.hash_models:
            self._hasher = Hasher(self._records, busy=lambda: bool(self.busy))
        self.watches = [self._watch(target) for target in config.targets]

    def close(self) -> None:
        """Stop following consoles and hashing."""
        for watch in self.watches:
            watch.stop()
        if self._hasher is not None:
            self._hasher.close()

    def _job(self, name: str, running: bool) -> None:  # noqa: FBT001 - a state
        (self.busy.add if running else self.busy.discard)(name)
        self._on_job(self.busy)

    def _watch(self, target: TargetConfig) -> Watch:
        config = self._config
        local = LocalFacts(
            target,
            self._hasher,
            self._sweep(target),
            self._records,
            state_dir(config),
            clock=self._clock,
            wall=self._wall,
        )
        on_job = partial(self._job, target.name)
        watch = Watch(target, config.pace, local, self._gpus, on_job=on_job, clock=self._clock, wall=self._wall)
        if self._remember is not None:
            watch.remember = self._remember
            with contextlib.suppress(HistoryError):  # there is none before the first start
                history = History(state_dir(config))
                watch.recall(history.jobs(target.name)[::-1], history.option_changes(target.name)[::-1])
                history.close()
        return watch

    def _sweep(self, target: TargetConfig) -> Sweep | None:
        if self._hasher is None or not self._config.verify_models:
            return None
        from forgediag.sources.sweep import Sweep  # noqa: PLC0415 - verifying is asked for by few

        pace = self._config.verification
        sweep = Sweep(self._records, target.lock, pace.days * 86400, pace.rate * MB, self._wall)
        self._hasher.look_after(sweep)
        return sweep
