"""Whether what is selected will load."""

from __future__ import annotations

from forgediag.model import Files, Gap, Known, LoadError, Prediction, Severity
from forgediag.testing.facts import problems
from forgediag_checks.loading import model_will_load


def files(prediction: Known[Prediction] | None) -> Files:
    return Files((), prediction=prediction)


def test_a_selection_that_loads_or_is_not_known_yet_is_fine() -> None:
    assert problems(model_will_load, files(None)) == []
    assert problems(model_will_load, files(Prediction("a", "sd15", "loaded"))) == []


def test_a_load_that_will_fail_is_told_with_forges_error_and_the_cause() -> None:
    error = LoadError("RuntimeError", "Error(s) in loading:\n\tsize mismatch")
    made = Prediction("/m/a", "sd15", "vae", error, subject="/m/ae", cause="ae has 16 channels", fix=("Unselect it.",))
    (problem,) = problems(model_will_load, files(made))
    assert (problem.subject, problem.fix) == ("ae", ("Unselect it.",))
    assert problem.message == "ae has 16 channels: the next load ends in RuntimeError 'Error(s) in loading:'"
    assert problem.evidence["error"]["message"] == error.message


def test_a_file_that_cannot_be_read_is_left_to_the_check_of_whole_files() -> None:
    made = Prediction("a", "unknown", "read", LoadError("ValueError", "Failed to recognize model type!"))
    assert problems(model_will_load, files(made)) == []


def test_what_loads_though_it_should_not_is_a_warning() -> None:
    (problem,) = problems(model_will_load, files(Prediction("a", "sd15", "loaded", gaps=("v: ignored",))))
    assert (problem.subject, problem.severity) == ("v", Severity.WARNING)


def test_what_cannot_be_foreseen_is_unknown() -> None:
    (problem,) = problems(model_will_load, files(Gap("it is a pickle")))
    assert problem.severity is Severity.UNKNOWN
