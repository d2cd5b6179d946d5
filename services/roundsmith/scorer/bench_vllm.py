"""vLLM's `prompt_logprobs` over the same tokens, in an environment and a process of its own."""

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from roundsmith.config import child_environment, cpu_count
from roundsmith.errors import ConfigError
from roundsmith.models.loading import LoadedModel
from roundsmith.scorer.settings import ScorerSettings

CHILD = """
import json, sys, time

def main():
    from vllm import LLM, SamplingParams

    given = json.loads(sys.argv[1])
    llm = LLM(
        model=given["model"], dtype=given["dtype"], max_model_len=given["context"],
        kv_cache_memory_bytes=2**30, enable_prefix_caching=True, enforce_eager=given["eager"],
        max_num_batched_tokens=given["tokens"], max_num_seqs=256,
    )
    asked = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
    for line in sys.stdin:
        texts = [{"prompt_token_ids": ids} for ids in json.loads(line)]
        begun = time.perf_counter()
        found = llm.generate(texts, asked, use_tqdm=False)
        seconds = time.perf_counter() - begun
        assert all(len(one.prompt_logprobs) == len(one.prompt_token_ids) for one in found)
        print("seconds", seconds, flush=True)

if __name__ == "__main__":
    main()
"""


class VllmPeer:
    """A child that times vLLM when it is asked; closed at the end."""

    def __init__(self, python: Path, loaded: LoadedModel, settings: ScorerSettings) -> None:
        """Loads the model in vLLM, with the dtype and the threads of ours, and as many tokens of a
        step as its default for its own server. ConfigError when there is no vLLM.
        """
        on_cpu = loaded.device.type == "cpu"
        given = {
            "model": str(loaded.folder.path),
            "dtype": str(loaded.model.dtype).removeprefix("torch."),
            "context": min(loaded.context_tokens, 4096),
            "tokens": max(2048, min(loaded.context_tokens, 4096)),
            "eager": on_cpu,
        }
        threads = settings.threads or (1 if loaded.is_small else cpu_count())
        environment = child_environment(
            VLLM_NO_USAGE_STATS="1",
            VLLM_LOGGING_LEVEL="ERROR",
            VLLM_CPU_OMP_THREADS_BIND="nobind",
            OMP_NUM_THREADS=str(threads),
            HF_HUB_OFFLINE="1",
        )
        self._child = subprocess.Popen(
            [str(python), "-c", CHILD, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def seconds(self, texts: Sequence[list[int]]) -> float:
        """How long vLLM takes for the log-probabilities of all tokens of the texts."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with suppress(BrokenPipeError):  # it has ended, and says nothing either
            self._child.stdin.write(json.dumps(list(texts)) + "\n")
            self._child.stdin.flush()
        for line in self._child.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise ConfigError(
            "--vllm: expected the Python of an environment that has vLLM, saw one whose process "
            f"ended with {self._child.wait()}: run it with `-c 'import vllm'` to see why"
        )

    def close(self) -> None:
        """Ends the child."""
        self._child.kill()
        self._child.communicate()
