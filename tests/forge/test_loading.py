"""What the recorded loads do not show: reasons, fates of modules, and files of other formats."""

from __future__ import annotations

import pytest

from forgediag.forge.loading import File, predict
from forgediag.forge.loading.alone import fits
from forgediag.forge.loading.reading import MISSING, missing
from forgediag.model import Fault, Gap, Header, Prediction, Tensor
from forgediag.testing import loads
from forgediag.testing.headers import header, plain


def made(checkpoint: str, *modules: str) -> Prediction:
    found = predict(
        File(f"{checkpoint}.safetensors", Header("safetensors", plain(loads.checkpoint(checkpoint), "F16"))),
        [File(f"{name}.safetensors", Header("safetensors", plain(loads.module(name), "F16"))) for name in modules],
    )
    assert isinstance(found, Prediction)
    return found


def alone(tensors: dict[str, tuple[int, ...]], *modules: File) -> Prediction:
    found = predict(File("x.safetensors", Header("safetensors", plain(tensors, "F16"))), modules)
    assert isinstance(found, Prediction)
    return found


def test_the_file_to_blame_is_the_one_that_gave_the_part() -> None:
    found = made("sd15", "vae-4", "clip_l", "vae-16")
    assert found.subject == "vae-16.safetensors"
    assert found.cause == "the VAE in vae-16.safetensors has 16 latent channels, sd15 needs 4"
    assert [use.fate for use in found.modules] == ["overridden", "used", "used"]


def test_a_vae_of_another_build_is_told_from_one_of_other_channels() -> None:
    assert "built differently" in made("sd15", "vae-4-linear-attention").cause


def test_every_part_that_is_lacking_is_named_not_only_the_first() -> None:
    fix = " ".join(made("flux-bare").fix)
    assert "CLIP-L" in fix
    assert "T5-XXL" in fix
    assert "ae.safetensors" in fix


@pytest.mark.parametrize(
    ("checkpoint", "module", "why"),
    [
        ("flux+vae", "vae-16-extracted", "named first_stage_model"),
        ("sd15+vae", "vae-16-extracted", "16 latent channels"),
        ("sd15+vae", "vae-4-prefixed", "named vae."),
        ("sd15+vae", "taesd", "previews"),
        ("sd15+vae", "t5", "no use for T5"),
        ("sd15+vae", "empty", "no VAE and no text encoder"),
        ("chroma+vae", "clip_l", "no use for CLIP-L"),
    ],
)
def test_a_module_that_forge_ignores_is_named_with_the_reason(checkpoint: str, module: str, why: str) -> None:
    found = made(checkpoint, module)
    (use,) = found.modules
    assert (found.loads, use.fate) == (True, "ignored")
    assert why in use.why
    assert any(why in gap for gap in found.gaps)


def test_a_module_of_which_one_part_is_replaced_is_partly_used() -> None:
    both = {**loads.module("vae-4"), **loads.module("clip_l")}
    first = File("both.safetensors", Header("safetensors", plain(both, "F16")))
    second = File("vae.safetensors", Header("safetensors", plain(loads.module("vae-4"), "F16")))
    found = alone(loads.checkpoint("sd15"), first, second)
    assert [use.fate for use in found.modules] == ["partly-used", "used"]


def test_a_bare_flux_as_a_module_is_ignored_by_its_family() -> None:
    other = File("flux.safetensors", Header("safetensors", plain(loads.checkpoint("flux-bare"), "F16")))
    lora = File("l.safetensors", Header("safetensors", plain({"a.lora_up.weight": (4, 4)}, "F16")))
    found = alone(loads.checkpoint("sd15+vae"), other, lora)
    assert "family flux-dev" in found.modules[0].why
    assert "kind lora" in found.modules[1].why


def test_missing_tensors_load_and_are_told() -> None:
    gaps = made("sd15+vae", "vae-4-17-keys").gaps
    assert any("231 tensors of the VAE are missing" in gap for gap in gaps)
    assert any("no use for CLIP-G" in gap for gap in made("sd15+vae", "clip_g").gaps)
    assert any("fails when it is used" in gap for gap in made("flux+vae").gaps)


@pytest.mark.parametrize(
    ("tensors", "kind", "words"),
    [
        ({"lora_unet_1.lora_up.weight": (8, 4)}, "ValueError", "a file of the kind lora"),
        ({"a": (4,)}, "ValueError", "holds no UNet of a family"),
        (
            {"clf.1.weight": (8, 8), "clip_mapper.weight": (8, 8), **{f"b.{i}": (1,) for i in range(9)}},
            "TypeError",
            "no engine",
        ),
    ],
)
def test_a_file_that_is_no_checkpoint_is_told_by_what_it_is(
    tensors: dict[str, tuple[int, ...]], kind: str, words: str
) -> None:
    found = alone(tensors)
    assert found.error is not None
    assert found.error.type == kind
    assert words in found.cause


def test_a_module_that_cannot_be_read_comes_before_the_missing_engine() -> None:
    broken = File("v.safetensors", Fault("data-cut", "cut", ()))
    found = alone({"clf.1.weight": (8, 8), "clip_mapper.weight": (8, 8), **{f"b.{i}": (1,) for i in range(9)}}, broken)
    assert found.error is not None
    assert found.error.type == "ValueError"


def test_a_clip_that_forge_cannot_rename_is_blamed() -> None:
    found = made("sdxl-bare", "clip_l", "clip_g-no-projection")
    assert found.subject == "clip_g-no-projection.safetensors"
    assert [use.fate for use in found.modules] == ["not-reached", "refused"]


def test_a_fragment_of_a_unet_is_no_model() -> None:
    tensors = {**loads.checkpoint("sdxl-text"), **loads.checkpoint("flux")}
    few = {name: shape for name, shape in tensors.items() if "double_blocks.0.img" in name or "text_enc" in name}
    found = alone({**few, "model.diffusion_model.guidance_in.in_layer.weight": (4, 4)})
    assert found.error is not None
    assert found.error.message == "You do not have model state dict!"
    assert "fragment" in found.cause


def test_the_order_of_names_is_the_files_own_with_a_newer_safetensors() -> None:
    odd = Header("safetensors", plain(loads.module("vae-16-odd"), "F16"))
    checkpoint = File("c.safetensors", Header("safetensors", plain(loads.checkpoint("flux"), "F16")))
    lines = [predict(checkpoint, [File("v", odd)], by_name=by_name) for by_name in (True, False)]
    told = [item.printed[-1] for item in lines if isinstance(item, Prediction)]
    assert told[0].startswith("IntegratedAutoencoderKL Unexpected: ['alpha.decay', 'epoch'")
    assert told[1].startswith("IntegratedAutoencoderKL Unexpected: ['epoch', 'zeta'")


def test_a_t5_in_gguf_is_taken_and_one_that_is_none_is_an_error() -> None:
    checkpoint = File("c", Header("safetensors", plain(loads.checkpoint("flux+vae"), "F16")))
    good = predict(checkpoint, [File("t5.gguf", header("t5:gguf-Q8_0"))])
    assert isinstance(good, Prediction)
    assert good.modules[0].fate == "used"
    for tensors, cause in (
        ({"enc.blk.0.attn_k.weight": (4,)}, "KeyError: 'shared.weight'"),
        ({"enc.blk.0.attn_k.weight": (4,), "token_embd.weight": (4,)}, "AttributeError: 'Tensor' object has no"),
        ({"text_model.encoder.layers.0.layer_norm1.bias": ()}, "IndexError: tuple index out of range"),
    ):
        bad = predict(checkpoint, [File("t5", Header("safetensors", plain(dict(tensors), "F16")))])
        assert isinstance(bad, Prediction)
        assert bad.error is not None
        assert (bad.error.cause or "").startswith(cause)


def test_an_open_clip_l_is_renamed_for_a_flux() -> None:
    assert made("flux+vae", "clip_l-open").loads
    assert made("schnell-bare", "clip_l-open", "t5", "vae-16").modules[0].fate == "used"


def test_names_that_are_not_known_are_a_gap() -> None:
    assert isinstance(predict(File("x.ckpt", Header("pickle", {}, unread="too long"))), Gap)
    sdxl = File("c", Header("safetensors", plain(loads.checkpoint("sdxl"), "F16")))
    whole = File("w", Header("safetensors", plain(loads.module("whole-sd15"), "F16")))
    assert isinstance(predict(sdxl, [whole]), Gap)


@pytest.mark.parametrize(
    ("path", "says", "cause", "renamed"),
    [
        ("x.gguf", "ValueError: GGUF magic invalid", "ValueError: GGUF magic invalid", ()),
        (
            "x.ckpt",
            "UnpicklingError: invalid load key, '<'.",
            "_pickle.UnpicklingError: invalid load key, '<'.",
            ("x.ckpt",),
        ),
        ("x.ckpt", None, None, ()),
    ],
)
def test_what_cannot_be_read_is_renamed_unless_it_is_gguf(
    path: str, says: str | None, cause: str | None, renamed: tuple[str, ...]
) -> None:
    found = predict(File(path, Fault("f", "broken", ("Again.",), forge_says=says)))
    assert isinstance(found, Prediction)
    assert found.error is not None
    assert (found.error.cause, found.renamed, found.phase) == (cause, renamed, "read")


def test_a_file_that_is_gone_is_not_renamed() -> None:
    fault = missing("x.safetensors")
    found = predict(File("x.safetensors", fault))
    assert isinstance(found, Prediction)
    assert (fault.id, found.renamed) == (MISSING, ())
    assert found.printed == ('ValueError: No such file or directory: "x.safetensors"',)


def test_a_scalar_of_one_element_is_taken() -> None:
    tensors = plain(loads.checkpoint("sd15+vae"), "F16")
    name = "cond_stage_model.logit_scale"
    found = predict(File("c", Header("safetensors", {**tensors, name: Tensor("F16", (1,), 2)})))
    assert isinstance(found, Prediction)
    assert found.loads


def test_a_checkpoint_with_an_unfit_vae_of_its_own_is_to_blame_itself() -> None:
    found = alone({**loads.checkpoint("sd15"), **loads.under("first_stage_model.", loads.module("vae-8"))})
    assert found.subject == "x.safetensors"
    assert found.fix == ("Select a VAE made for this family.",)


def test_modules_of_every_kind_fit_the_family_they_are_made_for() -> None:
    def module(name: str) -> File:
        return File(name, Header("safetensors", plain(loads.module(name), "F16")))

    good = fits("flux-dev", [module("clip_l"), module("t5"), module("vae-16")])
    assert isinstance(good, Prediction)
    assert (good.loads, good.checkpoint) == (True, "any checkpoint of flux-dev")
    assert [use.fate for use in good.modules] == ["used", "used", "used"]
    bad = fits("sdxl", [module("vae-16"), module("clip_l-vocabulary")])
    assert isinstance(bad, Prediction)
    assert bad.phase == "text_encoder"
    none = fits("chroma", [module("t5-large")])
    assert isinstance(none, Prediction)
    assert "IntegratedT5" in str(none.error)
    lacking = fits("sdxl", [module("clip_g-no-projection")])
    assert isinstance(lacking, Prediction)
    assert (lacking.phase, lacking.subject) == ("recognise", "clip_g-no-projection")
    broken = fits("sd15", [File("v.safetensors", Fault("data-cut", "cut", (), forge_says="X: cut"))])
    assert isinstance(broken, Prediction)
    assert broken.renamed == ("v.safetensors",)
    assert isinstance(fits("sd15", [File("v.pt", Header("pickle", {}, unread="too long"))]), Gap)
    assert isinstance(fits("sd15", []), Prediction)


def test_a_unet_with_a_scalar_where_a_shape_is_looked_up_is_an_index_error() -> None:
    tensors = loads.checkpoint("sd15+vae")
    found = alone({**tensors, "model.diffusion_model.input_blocks.1.0.out_layers.3.weight": ()})
    assert found.error is not None
    assert found.error.cause == "IndexError: tuple index out of range"
