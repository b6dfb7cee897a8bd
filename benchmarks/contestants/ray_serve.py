"""Ray Serve with `@serve.batch`: a replica a core, up to 64 texts a pass, torch in bfloat16."""

import asyncio
import os
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
import ray
from contest import NUM_PROCESSES, NUM_WARM, asked, tell, timed
from numpy.typing import NDArray
from ray import serve
from ray.serve.handle import DeploymentHandle

#: Requests under way at once.
IN_FLIGHT = 512


@serve.deployment(
    num_replicas=NUM_PROCESSES,
    max_ongoing_requests=IN_FLIGHT,
    ray_actor_options={"num_cpus": 1},
)
class Encoder:
    """The encoder behind a queue of Ray's."""

    def __init__(self, model: str) -> None:
        import torch
        from st_encoder import encoder

        self._encoder = encoder(Path(model), torch.bfloat16)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.01)
    async def __call__(self, texts: list[str]) -> list[NDArray[np.float32]]:
        """One pass over what has gathered."""
        return list(np.asarray(self._encoder.encode(texts, batch_size=64, show_progress_bar=False)))


async def vectors(handle: DeploymentHandle, texts: list[str]) -> NDArray[np.float32]:
    """Ask for all, one text a request."""
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def one(text: str) -> NDArray[np.float32]:
        async with turns:
            return await handle.remote(text)

    return np.array(await asyncio.gather(*map(one, texts)), np.float32)


def main() -> None:
    """Serve on this machine alone, and ask from this process."""
    work = asked()
    here = {"env_vars": {"PYTHONPATH": str(Path(__file__).resolve().parent)}}
    ray.init(
        num_cpus=NUM_PROCESSES + 1,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env=here,
        _node_ip_address="127.0.0.1",
    )
    handle = serve.run(Encoder.bind(str(work.model)), route_prefix=None)
    asyncio.run(vectors(handle, list(work.texts[:NUM_WARM])))
    with timed() as timing:
        labels = work.judged(asyncio.run(vectors(handle, list(work.texts))))
    tell(timing, labels)
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
