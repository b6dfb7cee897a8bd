"""Files that vLLM cannot serve as they are, made into some that it can, once, in the cache.

It owns what becomes of a GGUF file: half a minute of a core turns it into plain safetensors with a
tokenizer, which every later start finds by the hash of what they were made from.
"""

from pathlib import Path

import structlog

from smallfirst.catalogue.build_once import build_once
from smallfirst.catalogue.model_files import content_hash
from smallfirst_workers.errors import ModelError

#: Changes whenever the same file would become another model.
_RECIPE = 1

log = structlog.get_logger()


def served_folder(name: str, folder: Path, cache: Path) -> Path:
    """Name the folder that vLLM is to serve: a model's own, or what its GGUF file was made into.

    Args:
        name: Of the catalogue's model, for errors.
        folder: The model's files.
        cache: Folder of what is made once and shared by all processes.

    Raises:
        ModelError: When the file is broken, or the package that reads it is not installed.
    """
    packed = sorted(folder.glob("*.gguf"))
    if len(packed) != 1 or any(folder.glob("*.safetensors")):
        return folder
    made = cache / "unpacked" / f"{content_hash(folder)}-{_RECIPE}"
    if build_once(made, lambda to: _unpack(name, packed[0], to)):
        log.info("model.unpacked", model=name, folder=str(made))
    return made


def _unpack(name: str, packed: Path, to: Path) -> None:
    """Write the weights as bfloat16, `(as many as the file holds,)`, beside their tokenizer."""
    import torch  # noqa: PLC0415 - seconds to import, and only once for a cache
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415

    where = {"gguf_file": packed.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(packed.parent, **where)
        # Packed weights could be run, but not saved.
        model = AutoModelForCausalLM.from_pretrained(
            packed.parent,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            **where,
        )
    except ImportError as err:
        remedy = "install it: pip install 'smallfirst[smollm2]'"
        raise ModelError(name, f"needs the package gguf, which reads its file; {remedy}") from err
    # A torn file shows itself in many ways, by where it was cut; `tokenizers` has no class for it.
    except Exception as err:
        raise ModelError(name, f"cannot be read: {packed.name}: {err}") from err
    model.save_pretrained(to)
    tokenizer.save_pretrained(to)
