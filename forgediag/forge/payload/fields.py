"""What GET /openapi.json of a Forge dfdcbab declares: payload fields and options by the JSON type they take."""

from __future__ import annotations

from collections.abc import Mapping

TXT2IMG: Mapping[str, str] = {
    name: kind
    for kind, names in {
        "array": ("hr_additional_modules script_args styles"),
        "boolean": (
            "disable_extra_networks do_not_save_grid do_not_save_samples enable_hr "
            "override_settings_restore_afterwards restore_faces save_images send_images tiling"
        ),
        "integer": (
            "batch_size firstphase_height firstphase_width height hr_resize_x hr_resize_y hr_second_pass_steps n_iter "
            "seed seed_resize_from_h seed_resize_from_w steps subseed width"
        ),
        "number": (
            "cfg_scale denoising_strength distilled_cfg_scale eta hr_cfg hr_distilled_cfg hr_scale refiner_switch_at "
            "s_churn s_min_uncond s_noise s_tmax s_tmin subseed_strength"
        ),
        "object": ("alwayson_scripts comments override_settings"),
        "string": (
            "firstpass_image force_task_id hr_checkpoint_name hr_negative_prompt hr_prompt hr_sampler_name "
            "hr_scheduler hr_upscaler infotext negative_prompt prompt refiner_checkpoint sampler_index sampler_name "
            "scheduler script_name"
        ),
    }.items()
    for name in names.split()
}
"""Fields of POST /sdapi/v1/txt2img by name: array, boolean, integer, number, object or string."""

IMG2IMG: Mapping[str, str] = {
    name: kind
    for kind, names in {
        "array": ("init_images script_args styles"),
        "boolean": (
            "disable_extra_networks do_not_save_grid do_not_save_samples include_init_images inpaint_full_res "
            "mask_round override_settings_restore_afterwards restore_faces save_images send_images tiling"
        ),
        "integer": (
            "batch_size height inpaint_full_res_padding inpainting_fill inpainting_mask_invert mask_blur mask_blur_x "
            "mask_blur_y n_iter resize_mode seed seed_resize_from_h seed_resize_from_w steps subseed width"
        ),
        "number": (
            "cfg_scale denoising_strength distilled_cfg_scale eta hr_distilled_cfg image_cfg_scale "
            "initial_noise_multiplier refiner_switch_at s_churn s_min_uncond s_noise s_tmax s_tmin subseed_strength"
        ),
        "object": ("alwayson_scripts comments override_settings"),
        "string": (
            "firstpass_image force_task_id infotext latent_mask mask negative_prompt prompt refiner_checkpoint "
            "sampler_index sampler_name scheduler script_name"
        ),
    }.items()
    for name in names.split()
}
"""Fields of POST /sdapi/v1/img2img by name."""

OPTIONS: Mapping[str, str] = {
    name: kind
    for kind, names in {
        "any": (
            "add_user_name_to_info always_discard_next_to_last_sigma api_useragent auto_vae_precision_bfloat16 "
            "cache_fp16_weight clean_temp_dir_at_start compact_prompt_box dataset_filename_word_regex "
            "deepbooru_filter_tags disable_mmap_load_safetensors disable_token_counters disabled_extensions "
            "do_not_show_images dump_stacks_on_signal enable_console_prompts enable_quantization "
            "enable_reloading_ui_scripts eta_ddim eta_noise_seed_delta extra_networks_card_description_is_html "
            "extra_networks_card_height extra_networks_card_width extra_networks_dir_button_function "
            "extra_options_accordion extra_options_img2img extra_options_txt2img face_restoration "
            "face_restoration_unload font forge_additional_modules forge_canvas_plain forge_canvas_toolbar_always "
            "gallery_height grid_extended_filename grid_prevent_empty_spots grid_zip_filename_pattern hidden_tabs "
            "hide_samplers hires_button_gallery_insert hires_fix_show_prompts hires_fix_show_sampler "
            "hires_fix_use_firstpass_conds img2img_autosize img2img_batch_use_original_name img2img_color_correction "
            "img2img_extra_noise img2img_fix_steps img2img_settings_accordion infotext_skip_pasting "
            "interrogate_clip_skip_categories interrogate_keep_models_in_memory interrogate_return_ranks "
            "js_live_preview_in_modal_lightbox js_modal_lightbox_gamepad live_preview_allow_lowvram_full "
            "live_preview_fast_interrupt no_dpmpp_sde_batch_determinism outdir_grids outdir_samples pad_cond_uncond "
            "pad_cond_uncond_v0 pin_memory postprocessing_disable_in_extras postprocessing_enable_in_main_ui "
            "postprocessing_operation_order print_hypernet_extra profiling_enable quick_setting_list "
            "refiner_switch_by_sample_steps restore_config_state_file return_mask return_mask_composite rho s_churn "
            "s_min_uncond s_min_uncond_all s_tmax s_tmin samples_filename_pattern samples_log_stdout "
            "save_images_before_color_correction save_images_before_face_restoration save_images_before_highres_fix "
            "save_incomplete_images save_init_img save_mask save_mask_composite save_optimizer_state save_txt "
            "sd3_enable_t5 sd_checkpoint_cache sd_checkpoint_dropdown_use_short sd_checkpoint_hash sd_model_checkpoint "
            "sd_vae_checkpoint_cache sdxl_clip_l_skip sdxl_crop_left sdxl_crop_top set_scale_by_when_changing_upscaler "
            "sgm_noise_multiplier show_warnings sigma_max sigma_min skip_early_cond temp_dir "
            "textual_inversion_print_at_load tiling token_merging_ratio token_merging_ratio_hr "
            "token_merging_ratio_img2img training_enable_tensorboard training_tensorboard_save_images "
            "training_xattention_optimizations txt2img_settings_accordion ui_extra_networks_tab_reorder "
            "ui_reorder_list ui_tab_order unload_models_when_training upcast_attn upscaler_for_img2img "
            "use_downcasted_alpha_bar use_old_emphasis_implementation use_old_hires_fix_width_height "
            "use_old_karras_scheduler_sigmas use_old_scheduling use_save_to_dirs_for_ui use_upscaler_name_as_suffix "
            "webp_lossless"
        ),
        "array": (
            "dat_enabled_models keyedit_delimiters_whitespace profiling_activities realesrgan_enabled_models "
            "tabs_without_quick_settings_bar"
        ),
        "boolean": (
            "add_model_hash_to_info add_model_name_to_info add_vae_hash_to_info add_vae_name_to_info "
            "add_version_to_infotext api_enable_requests api_forbid_local_requests auto_backcompat auto_vae_precision "
            "batch_cond_uncond deepbooru_escape deepbooru_sort_alpha deepbooru_use_spaces "
            "dimensions_and_batch_together disable_weights_auto_swap enable_batch_seeds enable_pnginfo "
            "enable_prompt_comments enable_upscale_progressbar export_for_4chan extra_networks_card_show_desc "
            "extra_networks_show_hidden_directories extra_networks_tree_view_default_enabled gradio_themes_cache "
            "grid_only_if_multiple grid_save grid_save_to_dirs hide_ldm_prints img2img_inpaint_mask_high_contrast "
            "include_styles_into_token_counters interrupt_after_current js_modal_lightbox "
            "js_modal_lightbox_initially_zoomed keyedit_move list_hidden_files live_previews_enable multiple_tqdm "
            "notification_audio overlay_inpaint persistent_cond_cache prevent_screen_sleep_during_generation "
            "profiling_profile_memory profiling_record_shapes profiling_with_stack return_grid samplers_in_dropdown "
            "samples_save save_images_add_number save_selected_only save_to_dirs save_training_settings_to_txt "
            "save_write_log_csv sd_checkpoints_keep_in_cpu sd_vae_overrides_per_model_preferences send_seed send_size "
            "show_gradio_deprecation_warnings show_progress_grid show_progress_in_title show_progressbar "
            "textual_inversion_add_hashes_to_infotext uni_pc_lower_order_final use_original_name_batch"
        ),
        "number": (
            "CLIP_stop_at_last_layers DAT_tile DAT_tile_overlap ESRGAN_tile ESRGAN_tile_overlap beta_dist_alpha "
            "beta_dist_beta code_former_weight comma_padding_backtrack directories_max_prompt_words eta_ancestral "
            "extra_networks_card_text_scale extra_networks_default_multiplier extra_networks_tree_view_default_width "
            "extra_options_cols flux_GPU_MB flux_i2i_cfg flux_i2i_d_cfg flux_i2i_height flux_i2i_width flux_t2i_cfg "
            "flux_t2i_d_cfg flux_t2i_height flux_t2i_hr_cfg flux_t2i_hr_d_cfg flux_t2i_width forge_inference_memory "
            "img2img_batch_show_results_limit img2img_inpaint_mask_scribble_alpha img_downscale_threshold "
            "img_max_size_mp initial_noise_multiplier inpainting_mask_weight interrogate_clip_dict_limit "
            "interrogate_clip_max_length interrogate_clip_min_length interrogate_clip_num_beams "
            "interrogate_deepbooru_score_threshold jpeg_quality js_modal_lightbox_gamepad_repeat "
            "keyedit_precision_attention keyedit_precision_extra live_preview_refresh_period memmon_poll_rate n_rows "
            "notification_volume s_noise sd_checkpoints_limit sd_i2i_cfg sd_i2i_height sd_i2i_width sd_t2i_cfg "
            "sd_t2i_height sd_t2i_hr_cfg sd_t2i_width sd_webui_modal_lightbox_icon_opacity "
            "sd_webui_modal_lightbox_toolbar_opacity sdxl_refiner_high_aesthetic_score "
            "sdxl_refiner_low_aesthetic_score show_progress_every_n_steps target_side_length "
            "training_image_repeats_per_epoch training_tensorboard_flush_every training_write_csv_every uni_pc_order "
            "upscaling_max_images_in_cache xl_GPU_MB xl_i2i_cfg xl_i2i_height xl_i2i_width xl_t2i_cfg xl_t2i_height "
            "xl_t2i_hr_cfg xl_t2i_width"
        ),
        "string": (
            "auto_launch_browser cross_attention_optimization dataset_filename_join_string ddim_discretize "
            "directories_filename_pattern disable_all_extensions emphasis extra_networks_add_text_separator "
            "extra_networks_card_order extra_networks_card_order_field extra_networks_hidden_models "
            "extra_networks_tree_view_style face_restoration_model forge_async_loading forge_pin_shared_memory "
            "forge_preset forge_try_reproduce forge_unet_storage_dtype fp8_storage gradio_theme grid_background_color "
            "grid_format grid_text_active_color grid_text_inactive_color hires_fix_refiner_pass "
            "img2img_background_color img2img_inpaint_mask_brush_color img2img_inpaint_sketch_default_brush_color "
            "img2img_sketch_default_brush_color infotext_explanation infotext_styles keyedit_delimiters "
            "live_preview_content live_previews_image_format localization open_dir_button_choice outdir_extras_samples "
            "outdir_img2img_grids outdir_img2img_samples outdir_init_images outdir_save outdir_txt2img_grids "
            "outdir_txt2img_samples postprocessing_existing_caption_action profiling_explanation profiling_filename "
            "randn_source samples_format save_images_replace_action sd_hypernetwork sd_noise_schedule sd_unet sd_vae "
            "sd_vae_decode_method sd_vae_encode_method sd_vae_explanation settings_in_ui show_progress_type "
            "stealth_pnginfo_option uni_pc_skip_type uni_pc_variant"
        ),
    }.items()
    for name in names.split()
}
"""Options by name; "any" where Forge declares no type and so never refuses to show the value."""

REQUIRED = frozenset(
    [
        "alwayson_scripts",
        "denoising_strength",
        "include_init_images",
        "sampler_index",
        "save_images",
        "script_args",
        "send_images",
    ]
)
"""Fields that may be left out but not be null."""

SAMPLERS = (
    "DPM++ 2M",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 2S a",
    "DPM++ 3M SDE",
    "Euler a",
    "Euler",
    "LMS",
    "Heun",
    "DPM2",
    "DPM2 a",
    "DPM fast",
    "DPM adaptive",
    "Restart",
    "HeunPP2",
    "IPNDM",
    "IPNDM_V",
    "DEIS",
    "DDIM",
    "DDIM CFG++",
    "PLMS",
    "UniPC",
    "LCM",
    "DDPM",
)
"""Samplers of Forge dfdcbab without extensions."""

SCHEDULERS: Mapping[str, str] = {
    "automatic": "Automatic",
    "uniform": "Uniform",
    "karras": "Karras",
    "exponential": "Exponential",
    "polyexponential": "Polyexponential",
    "sgm_uniform": "SGM Uniform",
    "kl_optimal": "KL Optimal",
    "align_your_steps": "Align Your Steps",
    "simple": "Simple",
    "normal": "Normal",
    "ddim": "DDIM",
    "beta": "Beta",
    "turbo": "Turbo",
    "align_your_steps_GITS": "Align Your Steps GITS",
    "align_your_steps_11": "Align Your Steps 11",
    "align_your_steps_32": "Align Your Steps 32",
}
"""Schedulers of Forge dfdcbab: name to label; a payload may use either."""

SCRIPTS = (
    "controlnet",
    "dynamicthresholding (cfg-fix) integrated",
    "extra options",
    "freeu integrated (sd 1.x, sd 2.x, sdxl)",
    "img2img alternative test",
    "kohya hrfix integrated",
    "latentmodifier integrated",
    "loopback",
    "multidiffusion integrated",
    "never oom integrated",
    "outpainting mk2",
    "perturbedattentionguidance integrated",
    "poor man's outpainting",
    "prompt matrix",
    "prompts from file or textbox",
    "refiner",
    "sampler",
    "sd upscale",
    "seed",
    "selfattentionguidance integrated (sd 1.x, sd 2.x, sdxl)",
    "soft inpainting",
    "stylealign integrated",
    "x/y/z plot",
)
"""Scripts of Forge dfdcbab without extensions, in lower case as its API compares them."""
