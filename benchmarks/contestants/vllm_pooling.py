"""vLLM's pooling runner, offline: bfloat16, both cores in one process, all texts known."""

import os

os.environ |= {
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}

import numpy as np
from contest import NUM_WARM, asked, tell, timed
from numpy.typing import NDArray


def main() -> None:
    """Embed all texts by one call."""
    work = asked()
    from vllm import LLM

    model = LLM(
        str(work.model), runner="pooling", dtype="bfloat16", enforce_eager=True, max_num_seqs=64
    )

    def vectors(texts: list[str]) -> NDArray[np.float32]:
        found = model.embed(texts, use_tqdm=False)
        return np.array([each.outputs.embedding for each in found], np.float32)

    vectors(list(work.texts[:NUM_WARM]))
    with timed() as timing:
        labels = work.judged(vectors(list(work.texts)))
    tell(timing, labels)


if __name__ == "__main__":
    main()
