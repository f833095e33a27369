"""Modules of packages that extensions are known to install with pip."""

_NAMES = """
accelerate addict aiofiles aiohttp aiosqlite albumentations anthropic anyio asyncer asyncio_throttle av basicsr
bitsandbytes blendmodes boto3 bs4 cachetools chardet clip clip_interrogator cloudscraper cmaes colorama compel
controlnet_aux cupy cv2 dateutil deep_translator deepdanbooru deepface depth_anything diffusers diskcache dlib dotenv
dynamicprompts easing_functions einops emoji exifread face_alignment facexlib fairscale fake_useragent fastapi
fastparquet ffmpeg filelock filetype filterpy ftfy fuzzywuzzy fvcore gdown gfpgan git google googletrans gradio
gradio_client groq groundingdino handrefinerportable httpx huggingface_hub hydra ifnude imagehash imageio
imageio_ffmpeg imagesize insightface jieba jinja2 jsonmerge keyboard kgen kornia lama_cleaner lark Levenshtein
lightning llama_cpp loguru lxml lycoris markdown markdown_it matplotlib mediapipe mmcv mmdet modelscope moviepy
msgpack mss natsort nltk nudenet numba numexpr numpy nunchaku nvidia ollama omegaconf onnx onnxruntime open_clip
openai opencv openpyxl optimum optuna orjson pandas peewee peft piexif PIL pillow_avif pillow_heif pillow_lut pims
plotly polib polygraphy portalocker prettytable prodigyopt psutil py7zr pyautogui pycloudflared pycocotools pycuda
pydantic pyexiv2 pyfonts pyngrok pynvml pyparsing pyperclip pypinyin pystray pytorch_lightning pytz pywt rapidfuzz
rarfile realesrgan regex rembg requests rich safetensors sageattention sam2 scenedetect scipy screeninfo seaborn
segment_anything send2trash sentence_transformers sentencepiece simpleeval skimage sklearn slugify socks spacy
spandrel sqlalchemy stringcase supervision svglib tabulate tensorboard tensorflow tensorrt tensorrt_bindings
tensorrt_libs thop tiktoken timm tomesd toml tomli toolz torch torchaudio torchdiffeq torchmetrics torchsde
torchvision tqdm transformers translate transparent_background trimesh triton ultralytics ultralyticsplus unidecode
uvicorn vtracer wandb watchdog websocket websockets wget xformers yaml yapf zhipuai ZipUnicode zstandard
"""

PACKAGES = frozenset(_NAMES.split())
