"""Modules of packages that extensions are known to install with pip."""

_NAMES = """
accelerate addict aiohttp albumentations anyio asyncer av basicsr bitsandbytes blendmodes boto3 bs4 chardet clip
clip_interrogator cloudscraper cmaes colorama compel controlnet_aux cv2 deep_translator deepdanbooru deepface
depth_anything diffusers dlib dotenv dynamicprompts easing_functions einops face_alignment facexlib fairscale
fake_useragent fastapi ffmpeg filetype filterpy fvcore gdown gfpgan git google googletrans gradio gradio_client
groundingdino handrefinerportable httpx huggingface_hub hydra ifnude imageio imageio_ffmpeg insightface jinja2
jsonmerge kgen kornia lama_cleaner lark lightning llama_cpp loguru lxml lycoris markdown_it matplotlib mediapipe mmcv
mmdet modelscope moviepy natsort nltk nudenet numba numexpr numpy nunchaku omegaconf onnx onnxruntime open_clip openai
opencv optimum optuna orjson pandas peft piexif PIL pillow_avif pillow_heif pillow_lut pims plotly polib polygraphy
prodigyopt psutil py7zr pycloudflared pycocotools pydantic pyfonts pyngrok pynvml pyparsing pyperclip
pytorch_lightning pywt rarfile realesrgan regex rembg requests rich safetensors sageattention sam2 scipy seaborn
segment_anything send2trash sentence_transformers sentencepiece skimage sklearn slugify socks spacy spandrel
sqlalchemy supervision svglib tensorboard tensorflow tensorrt tensorrt_bindings tensorrt_libs thop tiktoken timm
tomesd toml tomli torch torchaudio torchdiffeq torchmetrics torchsde torchvision tqdm transformers translate
transparent_background trimesh triton ultralytics ultralyticsplus uvicorn vtracer wandb watchdog websocket websockets
wget xformers yaml yapf ZipUnicode
"""

PACKAGES = frozenset(_NAMES.split())
