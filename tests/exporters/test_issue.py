"""The Markdown for an issue: what a reader needs, and nothing that tells who somebody is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forgediag.model import Finding, Gap, Install, Report, Severity, Sysinfo
from forgediag.testing.facts import FORGE, SNAPSHOT, TARGET
from forgediag_exporters.issue import issue
from forgediag_exporters.redact import redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/alice/forge/models/x.safetensors", "/home/<user>/forge/models/x.safetensors"),
        (r"C:\Users\Bob Smith\forge", r"C:\Users\<user>\forge"),
        (r"D:\home\bob\forge, E:/Benutzer/bob/x", r"D:\home\<user>\forge, E:/Benutzer/<user>/x"),
        (r"\\NAS-BOB\share\a.safetensors, NAS-BOB", r"\\<host>\share\a.safetensors, <host>"),
        ("//nas/share/x", "//<host>/share/x"),
        ("~bob/models and bob@gpu-box:~/forge$", "~<user>/models and <address>:~/forge$"),
        ("/run/media/bob/disk", "/run/media/<user>/disk"),
        ("http://gpu-box:7860/x: gpu-box refuses", "http://<host>:7860/x: <host> refuses"),
        ("wss://f.example.org/queue?session_hash=ab12", "wss://<host>/queue?session_hash=<secret>"),
        ("https://civitai.com/d/1?type=Model&token=abc1", "https://<host>/d/1?type=<secret>&token=<secret>"),
        ("https://discord.com/api/webhooks/1/Ab-c", "https://<host>/<secret>"),
        ("webhook = 'https://x.example/y'", "webhook = '<secret>'"),
        ("file:///home/bob/x", "file:///home/<user>/x"),
        ("sftp://bob@nas/x", "sftp://<host>/x"),
        ("ssh bob@10.1.2.3, [fe80::1ff:fe23:4567:890a]", "ssh <address>, [<address>]"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334, 00:1A:2B:3C:4D:5E", "<address>, <address>"),
        (
            "00000000:01:00.0 at 12:34:56, c10::Error, [::1]:7860",
            "00000000:01:00.0 at 12:34:56, c10::Error, [::1]:7860",
        ),
        ("on DESKTOP-ABC1234, gpu.lan, threading.local", "on <host>, <host>, threading.local"),
        ("--server-name 192.168.0.7 --server-name 0.0.0.0", "--server-name <host> --server-name 0.0.0.0"),
        ("USERNAME=bob COMPUTERNAME=BOBS", "USERNAME=<user> COMPUTERNAME=<user>"),
        ("GPU-5f3e2d1c-aaaa-bbbb-cccc-0123456789ab", "GPU-<id>"),
        ("--gradio-auth a:b,c:d --x", "--gradio-auth <secret> --x"),
        ("--ngrok 2abcDEF --ngrok-region eu", "--ngrok <secret> --ngrok-region eu"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic <secret>"),
        ("Set-Cookie: access-token=abc; HttpOnly", "Set-Cookie: <secret>"),
        ("sk-proj-abcdefghijklmnop12 AKIAIOSFODNN7EXAMPLE", "<secret> <secret>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- x", "<secret> x"),
        ("HF_TOKEN=abc CIVITAI_API_KEY: def", "HF_TOKEN=<secret> CIVITAI_API_KEY: <secret>"),
        (r"C:\\Users\\bob\\forge, bob", r"C:\\Users\\<user>\\forge, <user>"),
        ("/Users/carol/x and carol's", "/Users/<user>/x and <user>'s"),
        ("/home/user/x: the user", "/home/<user>/x: the user"),
        ("/home/al/x, al", "/home/<user>/x, al"),
        ("http://forge.example.org:7860/x", "http://<host>:7860/x"),
        ("http://127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("https://github.com/x/y/issues/1", "https://github.com/x/y/issues/1"),
        ("http://me:pw@10.0.0.7:7860", "http://<host>:7860"),
        ("192.168.1.20 and 0.0.0.0", "<address> and 0.0.0.0"),
        ("--api-auth me:hunter2", "--api-auth <secret>"),
        ("api_auth=me:hunter2", "api_auth=<secret>"),
        ("--api-auth USER:PASS", "--api-auth USER:PASS"),
        ("token: abcdef", "token: <secret>"),
        ("hf_abcdefghijklmnop", "<secret>"),
        ("alice@example.org", "<address>"),
        ("'api_auth': True", "'api_auth': True"),
        ("version 2.0.1v1.10.1", "version 2.0.1v1.10.1"),
    ],
)
def test_what_tells_who_and_where_is_taken_out(text: str, expected: str) -> None:
    assert redacted(text) == expected


FINDING = Finding(
    "model-file-whole",
    Severity.FAILURE,
    "forge",
    "x.safetensors",
    "the file\nis cut ``` # no heading",
    {"path": "/home/alice/x"},
    ("Delete it, alice.",),
)


def rendered(report: Report) -> str:
    return issue(report).decode()


def test_the_issue_holds_what_a_reader_asks_for() -> None:
    text = rendered(Report(SNAPSHOT, (FINDING,), (), {}))
    assert "- driver 550.90, CUDA 12.4 at most" in text
    assert "NVIDIA GeForce RTX 4090, 24.0 GiB, compute capability 8.9, 8.0 GiB used" in text
    assert "- Forge f2.0.1, commit dfdcbab, Python ?" in text
    assert "- torch 2.3.1+cu121" in text
    assert "forge_inference_memory 1024.0" in text
    assert "**failure** `model-file-whole` x.safetensors: the file is cut ''' # no heading" in text
    assert "alice" not in text
    assert "1. Delete it, <user>." in text


def test_an_install_that_cannot_be_seen_is_told_by_sysinfo() -> None:
    told = Sysinfo("f2", "d" * 40, "3.10.6", "2.3.1", "12.1", {}, ())
    forge = replace(FORGE, sysinfo=told, fork=Gap("?"), options=Gap("?"))
    target = replace(TARGET, install=Gap("elsewhere"), forge=forge)
    text = rendered(Report(replace(SNAPSHOT, targets=(target,)), (), (), {}))
    assert "- Forge f2, commit dddddddddd, Python 3.10.6\n- torch 2.3.1, CUDA 12.1\n- fork: unknown" in text
    assert "Nothing is wrong." in text


def test_a_forge_that_is_down_on_an_unknown_machine_is_an_issue_too() -> None:
    target = replace(TARGET, install=Install("/forge", None, None, {}, python=(3, 10)), forge=Gap("nothing answers"))
    bare = replace(SNAPSHOT, targets=(target,), nvml=Gap("no driver"), host=Gap("no"))
    text = rendered(Report(bare, (), (), {}))
    assert "- no driver\n- Forge ?, commit ?, Python 3.10\n- no packages found\n- Forge: nothing answers" in text


def test_an_install_that_nobody_can_see_is_left_out() -> None:
    target = replace(TARGET, install=Gap("elsewhere"))
    text = rendered(Report(replace(SNAPSHOT, targets=(target,)), (), (), {}))
    assert "commit" not in text
    assert "- fork: forge" in text


def test_a_finding_without_evidence_has_no_block() -> None:
    text = rendered(Report(SNAPSHOT, (replace(FINDING, evidence={}),), (), {}))
    assert "```" not in text
