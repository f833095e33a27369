"""An API's answer to lines."""

import pytest

from forgediag.explain import body


def test_forges_error_reads_as_python_prints_it() -> None:
    text = '{"error":"AssertionError","detail":"","body":"","message":"You do not have CLIP state dict!"}'
    assert body.lines(text) == ["AssertionError: You do not have CLIP state dict!"]


def test_details_validation_and_plain_strings_are_kept() -> None:
    assert body.lines('{"detail":"Not Found"}') == ['"detail": "Not Found"']
    assert body.lines('{"detail":[{"loc":["body",1],"msg":"Input should be a valid dictionary"}]}') == [
        "body",
        "Input should be a valid dictionary",
    ]
    assert body.lines('["one\\ntwo", 3]') == ["one", "two"]
    assert body.lines('{"error": {"message": "x"}, "detail": "a\\nb"}') == ["x", "a", "b"]


@pytest.mark.parametrize(
    ("text", "why"), [("{'a': 1}", "not JSON"), ("[" * 200_000, "too deep"), ('{"a":' * 9 + "1" + "}" * 9, "too deep")]
)
def test_other_json_is_refused_in_a_word(text: str, why: str) -> None:
    with pytest.raises(body.BodyError, match=why):
        body.lines(text)


def test_a_log_does_not_look_like_a_body() -> None:
    assert body.looks_like_body('\ufeff {"error": 1}')
    assert not body.looks_like_body("[Unload] Trying to free all memory")
