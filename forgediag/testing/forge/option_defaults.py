"""Defaults of the options a simulated Forge has: names, types and values of a real one's, a fifth of them."""

from __future__ import annotations

from collections.abc import Mapping

from forgediag.model import Fork

Value = object

COMMON: Mapping[str, Value] = {
    "samples_save": True,
    "samples_format": "png",
    "samples_filename_pattern": "",
    "grid_save": True,
    "n_rows": -1,
    "jpeg_quality": 80,
    "img_max_size_mp": 200,
    "save_images_add_number": True,
    "outdir_samples": "",
    "outdir_txt2img_samples": "outputs/txt2img-images",
    "outdir_img2img_samples": "outputs/img2img-images",
    "save_to_dirs": True,
    "directories_max_prompt_words": 8,
    "ESRGAN_tile": 192,
    "realesrgan_enabled_models": ["R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B"],
    "upscaler_for_img2img": None,
    "code_former_weight": 0.5,
    "show_warnings": False,
    "memmon_poll_rate": 8,
    "disable_mmap_load_safetensors": False,
    "api_enable_requests": True,
    "sd_model_checkpoint": None,
    "sd_checkpoints_limit": 1,
    "sd_checkpoints_keep_in_cpu": True,
    "sd_checkpoint_cache": 0,
    "sd_unet": "Automatic",
    "emphasis": "Original",
    "comma_padding_backtrack": 20,
    "CLIP_stop_at_last_layers": 1,
    "upcast_attn": False,
    "randn_source": "GPU",
    "tiling": False,
    "sd_vae": "Automatic",
    "sd_vae_checkpoint_cache": 0,
    "auto_vae_precision": True,
    "inpainting_mask_weight": 1.0,
    "cross_attention_optimization": "Automatic",
    "token_merging_ratio": 0.0,
    "persistent_cond_cache": True,
    "batch_cond_uncond": True,
    "fp8_storage": "Disable",
    "cache_fp16_weight": False,
    "sd_hypernetwork": "None",
    "interrupt_after_current": True,
    "quick_setting_list": [],
    "enable_pnginfo": True,
    "live_previews_enable": True,
    "show_progress_every_n_steps": 10,
    "show_progress_type": "Approx NN",
    "hide_samplers": [],
    "eta_ancestral": 1.0,
    "eta_noise_seed_delta": 0,
    "uni_pc_order": 3,
    "disabled_extensions": [],
    "disable_all_extensions": "none",
    "sd_checkpoint_hash": "",
}
"""In every fork. A default that is falsy has no type in the API's answer: anything set there is answered as it is."""

MODULES: Mapping[str, Value] = {"forge_additional_modules": []}
FORGE: Mapping[str, Value] = {
    "forge_unet_storage_dtype": "Automatic",
    "forge_inference_memory": 1024,
    "forge_preset": "sd",
    **MODULES,
    "forge_try_reproduce": "None",
    "forge_canvas_plain": False,
    "sd_t2i_width": 512,
    "sd_t2i_height": 640,
    "xl_t2i_width": 896,
    "xl_t2i_height": 1152,
    "flux_t2i_width": 896,
    "flux_t2i_height": 1152,
    "flux_t2i_d_cfg": 3.5,
}
SWAP: Mapping[str, Value] = {"forge_async_loading": "Queue", "forge_pin_shared_memory": "CPU"}
MEMORY_KEYS: frozenset[str] = frozenset({"forge_inference_memory", "forge_swap", *SWAP})
"""Options that Forge hands to its memory manager, after all others of a request are set."""


def defaults(fork: Fork, total_mb: int) -> dict[str, Value]:
    """The options of a fork on a card of `total_mb`.

    Which fork has which: read in the sources of Forge dfdcbab, ersatzForge fca12a28 (`forge_swap`; its GPU_MB
    options are reserves, default 0), Forge Neo 2.25 (no inference memory), A1111 1.10.1 (none).
    """
    weights = {"xl_GPU_MB": total_mb - 1024, "flux_GPU_MB": total_mb - 1024}
    own: Mapping[str, Value] = {}
    if fork == "forge":
        own = {**FORGE, **SWAP, **weights}
    elif fork == "ersatzforge":
        own = {**FORGE, "forge_swap": "CPU + Queue", "xl_GPU_MB": 0, "flux_GPU_MB": 0}
    elif fork == "neo":
        own = {**MODULES, "forge_unet_storage_dtype": "Automatic", "forge_preset": "sd", "forge_checkpoint_sd": ""}
    return {**COMMON, **own}
