"""Files that torch.load executes: each was run once by torch 2.13 in Forge's loader, where it left its marker."""

from __future__ import annotations

import marshal
import struct
from collections.abc import Callable

import pytest

from forgediag.formats.pickle import scan
from forgediag.formats.window import Held
from forgediag.testing import pickles
from forgediag.testing.pickles import Code, Weight, call, packed, reach, streams, text, value, zipped

MARK = "/nonexistent/marker"
Attack = Callable[[str], bytes]
ATTACKS: dict[str, tuple[str, Attack]] = {}


def source(mark: str) -> str:
    return f"open({mark!r}, 'w').close()"


def touch(mark: str) -> str:
    return f"touch {mark}"


def shell(mark: str) -> bytes:
    return call(reach("os", "system"), touch(mark))


def main(body: bytes, version: int = 2) -> bytes:
    return b"\x80" + bytes([version]) + body + b"."


def attack(name: str, expected: str) -> Callable[[Attack], Attack]:
    def keep(build: Attack) -> Attack:
        ATTACKS[name] = expected, build
        return build

    return keep


def function(name: str, module: str, attribute: str, *arguments: object, version: int = 2) -> None:
    """An attack by one call: MARK, TOUCH and SOURCE in the arguments stand for the marker in its three forms."""

    def fill(item: object, mark: str) -> object:
        if isinstance(item, str):
            return item.replace("TOUCH", touch(mark)).replace("SOURCE", source(mark)).replace("MARK", mark)
        if isinstance(item, bytes):
            return item.replace(b"TOUCH", touch(mark).encode())
        if isinstance(item, (list, tuple)):
            return type(item)(fill(one, mark) for one in item)
        return {key: fill(one, mark) for key, one in item.items()} if isinstance(item, dict) else item

    def build(mark: str) -> bytes:
        arguments_now = tuple(fill(argument, mark) for argument in arguments)
        return packed(main(call(reach(module, attribute), *arguments_now), version))

    ATTACKS[name] = f"{module}.{attribute}", build


function("os-system", "os", "system", "TOUCH")
function("posix-system", "posix", "system", "TOUCH")
function("subprocess-popen", "subprocess", "Popen", ["touch", "MARK"])
function("subprocess-check-output", "subprocess", "check_output", ["touch", "MARK"])
function("posix-spawn", "os", "posix_spawnp", "touch", ["touch", "MARK"], {"PATH": "/usr/bin:/bin"})
function("builtins-exec", "builtins", "exec", "SOURCE")
function("builtins-eval", "builtins", "eval", "SOURCE")
function("builtins-python2-names", "__builtin__", "eval", "SOURCE")
function("builtins-open", "builtins", "open", "MARK", "w")
function("io-open", "io", "open", "MARK", "w")
function("codecs-open", "codecs", "open", "MARK", "w")
function("cve-2025-1716-pip-main", "pip._internal", "main", ["config", "--log", "MARK", "debug"])
function("cve-2025-10157-submodule-of-a-listed-module", "subprocess", "os.system", "TOUCH", version=4)
function("dotted-name-through-torch", "torch", "os.system", "TOUCH", version=4)
function("ghsa-numpy-f2py-getlincoef", "numpy.f2py.crackfortran", "getlincoef", "SOURCE", {})
function("numpy-f2py-myeval", "numpy.f2py.crackfortran", "myeval", "SOURCE")
function("ghsa-numpy-testing-runstring", "numpy.testing._private.utils", "runstring", "SOURCE", {})
function("torch-collect-env-run", "torch.utils.collect_env", "run", "TOUCH")
function("torch-jit-execwrapper", "torch.jit.unsupported_tensor_ops", "execWrapper", "SOURCE", {}, {})
function("fickling-runpy-run-code", "runpy", "_run_code", "SOURCE", {})
function("cve-2025-67748-pty-spawn", "pty", "spawn", ["touch", "MARK"])
function("fickling-cprofile-run", "cProfile", "run", "SOURCE")
function("ghsa-profile-run", "profile", "run", "SOURCE")
function("ghsa-timeit", "timeit", "timeit", "SOURCE", "pass", Code(reach("time", "perf_counter")), 1)
function("ghsa-uuid-get-command-stdout", "uuid", "_get_command_stdout", "touch", "MARK")
function("cve-2026-56315-osx-support", "_osx_support", "_read_output", "TOUCH")
function("bootsubprocess", "_bootsubprocess", "check_output", ["touch", "MARK"])
function("cve-2026-56315-imaplib-stream", "imaplib", "IMAP4_stream", "TOUCH")
function("modelscan-mailcap-findmatch", "mailcap", "findmatch", {"a/b": [{"view": "x", "test": "TOUCH"}]}, "a/b")
function("ghsa-distutils-write-file", "distutils.file_util", "write_file", "MARK", [])
function("ghsa-logging-file-handler", "logging", "FileHandler", "MARK")
function("sqlite3-connect", "sqlite3", "connect", "MARK")
function("dbm-dumb-open", "dbm.dumb", "open", "MARK", "c")
function("urlretrieve", "urllib.request", "urlretrieve", "data:,x", "MARK")
function("shutil-copy", "shutil", "copy", "/dev/null", "MARK")
function("ghsa-script-helper", "test.support.script_helper", "assert_python_ok", "-c", "SOURCE")
function("ghsa-aifc-open", "aifc", "open", "MARK", "w")
function("multiprocessing-spawnv", "multiprocessing.util", "spawnv_passfds", b"/usr/bin/touch", ["touch", "MARK"], [])


@attack("stack-global", "os.system")
def _(mark: str) -> bytes:
    return packed(main(text("os") + text("system") + b"\x93" + value((touch(mark),)) + b"R", 4))


@attack("inst-opcode", "os.system")
def _(mark: str) -> bytes:
    return packed(main(b"(" + text(touch(mark)) + b"ios\nsystem\n"))


@attack("obj-opcode", "os.system")
def _(mark: str) -> bytes:
    return packed(main(b"(" + reach("os", "system") + text(touch(mark)) + b"o"))


@attack("newobj-of-map-and-bytes", "builtins.map")
def _(mark: str) -> bytes:
    lazy = reach("builtins", "map") + value((Code(reach("builtins", "exec")), [source(mark)])) + b"\x81"
    return packed(main(reach("builtins", "bytes") + value((Code(lazy),)) + b"\x81"))


@attack("newobj-ex-of-map", "builtins.map")
def _(mark: str) -> bytes:
    lazy = reach("builtins", "map") + value((Code(reach("builtins", "exec")), [source(mark)])) + b"}\x92"
    return packed(main(reach("builtins", "set") + value((Code(lazy),)) + b"R", 4))


@attack("build-calls-a-planted-setstate", "os.system")
def _(mark: str) -> bytes:
    made = reach("argparse", "Namespace") + b")R"
    planted = value({"__setstate__": Code(reach("os", "system"))}) + b"b"
    return packed(main(made + planted + text(touch(mark)) + b"b"))


@attack("result-popped", "os.system")
def _(mark: str) -> bytes:
    return packed(main(shell(mark) + b"0}"))


@attack("result-popped-with-its-mark", "os.system")
def _(mark: str) -> bytes:
    return packed(main(b"(" + shell(mark) + b"1}"))


@attack("ghsa-mhc9-build-behind-the-call", "os.system")
def _(mark: str) -> bytes:
    return packed(main(reach("argparse", "Namespace") + b")R" + value({"x": Code(shell(mark))}) + b"b"))


@attack("picklescan-14-memo-confusion", "os.system")
def _(mark: str) -> bytes:
    memo = text("os") + b"q\x00" + text("system") + b"q\x01"
    bait = text("torch._utils") + b"\x94" + text("_rebuild_tensor_v2") + b"\x94"
    return packed(main(memo + bait + b"h\x00h\x01\x93" + value((touch(mark),)) + b"R", 4))


@attack("memo-overwritten", "os.system")
def _(mark: str) -> bytes:
    memo = text("collections") + b"q\x00" + text("OrderedDict") + b"q\x01" + text("os") + b"r\x00\x00\x00\x00"
    again = text("system") + b"p1\n"
    return packed(main(memo + again + b"g0\nj\x01\x00\x00\x00\x93" + value((touch(mark),)) + b"R", 4))


@attack("function-from-the-memo", "os.system")
def _(mark: str) -> bytes:
    return packed(main(reach("os", "system") + b"q\x05h\x05" + value((touch(mark),)) + b"R"))


@attack("names-in-escapes", "os.system")
def _(mark: str) -> bytes:
    return packed(main(b"S'\\x6fs'\nV\\u0073ystem\n\x93" + value((touch(mark),)) + b"R", 4))


@attack("names-made-while-loading", "builtins.str")
def _(mark: str) -> bytes:
    made = call(reach("builtins", "str"), b"os", "ascii")
    return packed(main(made + text("system") + b"\x93" + value((touch(mark),)) + b"R", 4))


@attack("names-joined-by-operator", "_operator.concat")
def _(mark: str) -> bytes:
    made = call(reach("_operator", "concat"), "sys", "tem")
    return packed(main(text("os") + made + b"\x93" + value((touch(mark),)) + b"R", 4))


def module(name: str) -> Code:
    return Code(call(reach("importlib", "import_module"), name))


@attack("getattr-of-an-imported-module", "builtins.getattr")
def _(mark: str) -> bytes:
    return packed(main(call(call(reach("builtins", "getattr"), module("os"), "system"), touch(mark))))


@attack("operator-attrgetter", "_operator.attrgetter")
def _(mark: str) -> bytes:
    return packed(main(call(call(call(reach("_operator", "attrgetter"), "system"), module("os")), touch(mark))))


@attack("operator-methodcaller", "operator.methodcaller")
def _(mark: str) -> bytes:
    return packed(main(call(call(reach("operator", "methodcaller"), "system", touch(mark)), module("os"))))


@attack("ghsa-vvpj-pkgutil-resolve-name", "pkgutil.resolve_name")
def _(mark: str) -> bytes:
    return packed(main(call(call(reach("pkgutil", "resolve_name"), "os:system"), touch(mark))))


@attack("functools-partial", "functools.partial")
def _(mark: str) -> bytes:
    return packed(main(call(call(reach("functools", "partial"), Code(reach("os", "system")), touch(mark)))))


@attack("functools-reduce", "functools.reduce")
def _(mark: str) -> bytes:
    return packed(main(call(reach("functools", "reduce"), Code(reach("builtins", "exec")), [source(mark), {}])))


@attack("deque-of-map", "collections.deque")
def _(mark: str) -> bytes:
    lazy = Code(call(reach("builtins", "map"), Code(reach("os", "system")), [touch(mark)]))
    return packed(main(call(reach("collections", "deque"), lazy)))


@attack("ctypes-libc", "ctypes.CDLL")
def _(mark: str) -> bytes:
    library = Code(call(reach("ctypes", "CDLL"), None))
    return packed(main(call(call(reach("builtins", "getattr"), library, "system"), touch(mark).encode())))


@attack("cve-2025-67747-marshal-and-types", "marshal.loads")
def _(mark: str) -> bytes:
    code = Code(call(reach("marshal", "loads"), marshal.dumps(compile(source(mark), "x", "exec"))))
    names = Code(call(reach("builtins", "globals")))
    return packed(main(call(call(reach("types", "FunctionType"), code, names))))


@attack("trace-runs-source", "trace.Trace")
def _(mark: str) -> bytes:
    tracer = Code(call(reach("trace", "Trace"), 0, 0))
    return packed(main(call(reach("trace", "Trace.run"), tracer, source(mark)), 4))


@attack("ghsa-lib2to3-grammar-loads", "lib2to3.pgen2.grammar.Grammar.loads")
def _(mark: str) -> bytes:
    grammar = Code(call(reach("lib2to3.pgen2.grammar", "Grammar")))
    return packed(main(call(reach("lib2to3.pgen2.grammar", "Grammar.loads"), grammar, main(shell(mark))), 4))


@attack("pickle-in-a-pickle", "_pickle.loads")
def _(mark: str) -> bytes:
    return packed(main(call(reach("_pickle", "loads"), main(shell(mark)))))


@attack("torch-load-from-bytes", "torch.storage._load_from_bytes")
def _(mark: str) -> bytes:
    return packed(main(call(reach("torch.storage", "_load_from_bytes"), streams(main(shell(mark))))))


@attack("extension-registry", "copyreg.add_extension")
def _(mark: str) -> bytes:
    register = call(reach("copyreg", "add_extension"), "os", "system", 77)
    return packed(main(register + b"0\x82\x4d" + value((touch(mark),)) + b"R"))


@attack("rebuild-from-type-calls-anything", "os.system")
def _(mark: str) -> bytes:
    arguments = (Code(reach("os", "system")), Code(reach("builtins", "int")), (touch(mark),), None)
    return packed(main(call(reach("torch._tensor", "_rebuild_from_type_v2"), *arguments)))


@attack("payload-behind-real-weights", "os.system")
def _(mark: str) -> bytes:
    return pickles.torch_zip({"a": Weight("F32", (2, 3)), "b": Code(shell(mark))})


@attack("payload-as-a-dict-key", "os.system")
def _(mark: str) -> bytes:
    return packed(main(b"}" + shell(mark) + b"Ns"))


@attack("nullifai-broken-tail", "os.system")
def _(mark: str) -> bytes:
    return packed(b"\x80\x02" + shell(mark) + b"\xff\xff not a pickle any more")


@attack("pickle-cut-behind-the-payload", "os.system")
def _(mark: str) -> bytes:
    return packed(b"\x80\x02" + shell(mark) + b"X\xff\xff")


@attack("frame-that-cuts-a-name", "pytorch_lightning.subprocess.Popen")
def _(mark: str) -> bytes:
    bait = b"cpytorch_lightning."
    run = b"subprocess\nPopen\n" + value((["touch", mark],)) + b"R."
    return packed(b"\x80\x04\x95" + struct.pack("<Q", len(bait)) + bait + run)


@attack("two-protocols", "os.system")
def _(mark: str) -> bytes:
    return packed(b"\x80\x02\x80\x04\x80\x00" + shell(mark) + b".")


@attack("protocol-0", "os.system")
def _(mark: str) -> bytes:
    return packed(b"cos\nsystem\n(S'" + touch(mark).encode() + b"'\ntR.")


@attack("deflated", "os.system")
def _(mark: str) -> bytes:
    return packed(main(shell(mark)), deflated=True)


@attack("data-pkl-in-capitals", "os.system")
def _(mark: str) -> bytes:
    return zipped([("a/DATA.PKL", main(shell(mark))), ("a/version", b"3")])


@attack("two-data-pkl-the-first-counts", "os.system")
def _(mark: str) -> bytes:
    return packed(main(shell(mark)), extra=[("data.pkl", main(b"}"))])


@attack("cve-2025-1944-other-name-in-front", "os.system")
def _(mark: str) -> bytes:
    return packed(main(shell(mark))).replace(b"archive/data.pkl", b"archive/dota.pkl", 1)


@attack("cve-2025-1945-encrypted-flag", "os.system")
def _(mark: str) -> bytes:
    whole = bytearray(packed(main(shell(mark))))
    whole[6] |= 1
    return bytes(whole)


@attack("cve-2025-10156-wrong-crc", "os.system")
def _(mark: str) -> bytes:
    whole = packed(main(shell(mark)))
    start = whole.index(b"PK\x01\x02") + 16
    return whole[:start] + b"\1\2\3\4" + whole[start + 4 :]


@attack("glued-behind-another-archive", "os.system")
def _(mark: str) -> bytes:
    evil = packed(main(shell(mark)))
    return evil + evil


@attack("cve-2025-1889-pickle-under-any-ending", "os.system")
def _(mark: str) -> bytes:
    return streams(main(shell(mark)))


@attack("legacy-first-pickle", "os.system")
def _(mark: str) -> bytes:
    return main(shell(mark))


@attack("legacy-protocol-pickle", "os.system")
def _(mark: str) -> bytes:
    return streams(main(b"}"), protocol=main(shell(mark)))


@attack("legacy-system-pickle", "os.system")
def _(mark: str) -> bytes:
    return streams(main(b"}"), system=main(shell(mark)))


@attack("legacy-storage-keys", "os.system")
def _(mark: str) -> bytes:
    return streams(main(b"}"), keys=main(shell(mark)))


@attack("legacy-in-front-of-a-zip", "os.system")
def _(mark: str) -> bytes:
    return streams(main(shell(mark))) + pickles.torch_zip({"a": Weight("F32", (1,))})


@attack("cve-2025-10155-pickle-with-text-in-front", "os.system")
def _(mark: str) -> bytes:
    return b"V<!doctype html>\n0" + main(shell(mark))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_named_with_its_place(name: str) -> None:
    expected, build = ATTACKS[name]

    found = scan(Held(build(MARK)))

    assert not found.safe
    assert expected in {one.target for one in found.calls} or found.tricks
    assert all(one.position > 0 or one.opcode == "GLOBAL" for one in found.calls)


def test_there_are_at_least_forty() -> None:
    assert len(ATTACKS) >= 40
