"""What is counted over time: option changes, the memory setting in effect, jobs."""

from __future__ import annotations

from typing import Any

from forgediag.model import MB, Flags, Gap, Options, Progress, TorchMemory
from forgediag.sources.counts import TargetCounts
from forgediag.testing.reports import cuda

DOWN = Gap("down", "refused")


def options(**values: Any) -> Options:
    return Options({"forge_inference_memory": 1024.0, "a": 1, **values})


def test_changed_added_and_removed_options_count_and_forges_own_do_not() -> None:
    counts = TargetCounts(())
    counts.options(options(sd_checkpoint_hash=""))
    counts.options(options(a=2, b=1, sd_checkpoint_hash="abc"))
    counts.options(DOWN)
    counts.options(options())
    assert counts.read().option_changes == 4


def api_only() -> TargetCounts:
    counts = TargetCounts(())
    counts.flags(Flags({"nowebui": True}))
    return counts


def test_the_value_in_effect_is_unknown_until_a_change_is_seen() -> None:
    counts = api_only()
    counts.progress(DOWN, 0.0)
    counts.options(options())
    assert counts.read().effective_inference_memory is None
    counts.options(options(forge_inference_memory=2048.0))
    assert counts.read().effective_inference_memory == 2048 * MB


def test_the_value_in_effect_is_unknown_where_a_web_page_may_set_it() -> None:
    counts = TargetCounts(())
    counts.options(options())
    counts.options(options(forge_inference_memory=2048.0))
    assert counts.read().effective_inference_memory is None


def test_a_restarted_forge_works_with_1024_mb_whatever_it_shows() -> None:
    counts = api_only()
    counts.options(options(forge_inference_memory=4096.0))
    counts.progress(DOWN, 1.0)
    assert counts.read().effective_inference_memory is None
    counts.options(options(forge_inference_memory=4096.0))
    assert counts.read().effective_inference_memory == 1024 * MB
    assert counts.read().option_changes == 0


def test_jobs_are_counted_by_outcome_and_timed() -> None:
    counts = TargetCounts(())
    counts.progress(Progress("t", -1, 0, "1", 0, 0, 0.01, interrupted=False), 10.0)
    assert counts.job_running
    counts.progress(Progress("", 0, 1, "1", 0, 20, 0.0, interrupted=False), 13.0)
    counts.progress(Progress("", 0, 0, "2", 0, 20, 0.0, interrupted=False), 14.0)
    tally = counts.read()
    assert tally.jobs == {"done": 1, "failed": 1}
    assert tally.job_seconds is not None
    assert (tally.job_seconds.count, tally.job_seconds.sum) == (1, 3.0)


def test_request_durations_fall_into_cumulative_buckets() -> None:
    counts = TargetCounts(["options"])
    for seconds in (0.001, 0.002, 9.0):
        counts.request("options", seconds)
    requests = counts.read().requests["options"]
    assert requests.counts[:3] == (1, 2, 2)
    assert requests.count == 3


def test_a_broken_answer_lacks_options_and_changes_nothing() -> None:
    counts = TargetCounts(())
    counts.options(options())
    counts.options(Options({"CLIP_stop_at_last_layers": "two"}, ("CLIP_stop_at_last_layers",)))
    counts.options(options())
    assert counts.read().option_changes == 0


def changed(before: dict[str, Any], after: dict[str, Any], *, api_only: bool = True) -> list[tuple[str, Any, Any, str]]:
    counts = TargetCounts(())
    counts.flags(Flags({"nowebui": api_only}))
    counts.memory(TorchMemory(1, cuda()))
    counts.options(Options(before), 1.0)
    return [(item.key, item.old, item.new, item.cause) for item in counts.options(Options(after), 2.0)]


def test_a_change_is_told_with_both_values() -> None:
    assert changed({"a": 1, "sd_checkpoint_hash": "x"}, {"a": 2, "sd_checkpoint_hash": "y"}) == [("a", 1, 2, "other")]


def test_what_may_be_a_credential_is_never_kept() -> None:
    assert changed({"civitai_api_key": ""}, {"civitai_api_key": "hunter2"}) == [("civitai_api_key", "", True, "other")]


def test_a_page_that_is_opened_is_known_by_the_values_it_sets() -> None:
    before = {"forge_inference_memory": 2048.0, "xl_GPU_MB": 20_000.0}
    by_page = 24 * 1024 - 20_000.0

    assert changed(before, before | {"forge_inference_memory": by_page}, api_only=False)[0][3] == "page"
    assert changed(before, before | {"forge_inference_memory": by_page}, api_only=True)[0][3] == "other"
    assert changed(before, before | {"forge_inference_memory": 3000.0}, api_only=False)[0][3] == "other"


def test_what_a_restart_changed_is_told_as_that() -> None:
    counts = TargetCounts(())
    counts.options(Options({"forge_inference_memory": 2048.0}), 1.0)
    counts.progress(Gap("down", "refused"), 2.0)

    (change,) = counts.options(Options({"forge_inference_memory": 1024.0}), 3.0)

    assert change.cause == "restart"
