"""gpt-oss on one GPU: which kernels serve a pass, and decoding one step ahead of the host."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from inkling.engine.gpu.nvrtc import KernelError
from inkling.engine.gpu.step import StepPass, Unsupported, source
from inkling.engine.gpu.trial import TriedBefore, expect, find_fault, guarded
from inkling.engine.gpu.triton_pass import BUCKETS, GraphedPass, TritonPass
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.base import KVStore, Step, check_pass
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits, PagedKV

log = logging.getLogger(__name__)

# Time of a pass of 1, 2, ... tokens with all logits, relative to one, on an H200: bench/RESULTS.md.
PASS_COSTS = (1.0, 1.6, 2.1, 2.6)


class GpuModel:
    """A `Model` and a `Decoder` over packed weights; KV in fp16 or 8 bits.

    Passes of a few tokens are one persistent CUDA kernel, in which a token's logits do not depend
    on the others of its pass; longer ones are Triton kernels, replayed as CUDA graphs. Where the CUDA
    kernel cannot be had, or fails its trial, Triton serves the short ones too.
    """

    def __init__(self, config: GptOssConfig, weights: GpuWeights) -> None:
        """Take `weights` on their device, which is a GPU."""
        self.config = config
        self._weights = weights
        self._device = weights.norm.device
        self._prefill = TritonPass(config, weights)
        self._kv: PagedKV | None = None
        self._step: StepPass | None = None
        self._graphed: GraphedPass | None = None
        self._pages: list[int] = []
        self._page_table = torch.zeros(0, dtype=torch.int32, device=self._device)

    @property
    def max_rows(self) -> int:
        """As `Decoder.max_rows`."""
        return min(self._step.most_rows, len(PASS_COSTS)) if self._step else 1

    def pass_cost(self, num_rows: int) -> float:
        """As `Decoder.pass_cost`."""
        return PASS_COSTS[num_rows - 1]

    def new_kv(self, num_pages: int, page_len: int, bits: KVBits = 16) -> PagedKV:
        """Make an empty store, and compile, try and capture what passes over it need. One store per model.

        Raises KernelFailed where the fused kernel breaks the GPU's context.
        """
        config = self.config
        kv = PagedKV(
            config.num_layers,
            num_pages,
            page_len,
            config.num_kv_heads,
            config.head_dim,
            dtype=torch.float16,
            device=self._device,
            bits=bits,
        )
        self._kv = kv
        try:
            self._step = StepPass(config, self._weights, page_len, bits)
            self._graphed = self._captured(kv)
            fault = self._fault_of(self._step, kv)
        except (Unsupported, KernelError, TriedBefore) as error:
            fault = str(error)
        if fault is not None:
            log.warning("the fused decode kernel is not used: %s", fault)
            self._step = None
            self._graphed = self._captured(kv)
        return kv

    def _captured(self, kv: PagedKV) -> GraphedPass:
        """Graphs for the passes that the fused kernel does not serve."""
        fused = self._step.most_rows if self._step else 0
        return GraphedPass(
            self._prefill, kv, kv.num_pages, [size for size in BUCKETS if size > fused]
        )

    @torch.inference_mode()
    def _fault_of(self, step: StepPass, kv: PagedKV) -> str | None:
        """What is wrong with the fused kernel here, none of which shall show under a key.

        Raises KernelError, and as `guarded` does.
        """
        pages = range(kv.num_pages)
        table = self._table(pages)

        def fused(token_ids: Sequence[int], start: int, num_logits: int) -> Tensor:
            return step.run(token_ids, start, table, kv, num_logits)[0].clone()

        def reference(token_ids: Sequence[int], start: int, num_logits: int) -> Tensor:
            return self._long_pass(token_ids, start, table, kv, num_logits)

        expected = expect(reference, self.config.vocab_size, kv.num_pages * kv.page_len)
        with guarded(source(), self._device):
            return find_fault(fused, expected, step.most_rows)

    @torch.inference_mode()
    def forward(
        self,
        token_ids: Sequence[int],
        start: int,
        pages: Sequence[int],
        kv: KVStore,
        num_logits: int,
    ) -> Tensor:
        """Append tokens and return the fp32 logits of the last ones: see `Model.forward`."""
        kv = self._checked(kv, token_ids, start, pages, num_logits)
        table = self._table(pages)
        if self._step is not None and len(token_ids) <= self._step.most_rows:
            logits = self._step.run(token_ids, start, table, kv, num_logits)[0].clone()
        else:
            logits = self._long_pass(token_ids, start, table, kv, num_logits)
        if num_logits == 0:
            torch.cuda.current_stream(self._device).synchronize()
        return logits

    def _long_pass(
        self, token_ids: Sequence[int], start: int, table: Tensor, kv: PagedKV, num_logits: int
    ) -> Tensor:
        if self._graphed is not None and len(token_ids) <= self._graphed.most_tokens:
            return self._graphed.forward(token_ids, start, table, num_logits)
        ids = torch.tensor(token_ids, dtype=torch.int32).to(self._device)
        position = torch.tensor([start], dtype=torch.int32).to(self._device)
        return self._prefill.forward(ids, position, table, kv, num_logits)

    @torch.inference_mode()
    def decode(self, after: int | Step, start: int, pages: Sequence[int], kv: KVStore) -> Step:
        """As `Decoder.decode`."""
        if self._step is None:
            chosen = self.forward([_known(after)], start, pages, kv, 1).argmax(-1).int()
        else:
            store = self._checked(kv, [0], start, pages, 1)
            token = after.on_device if isinstance(after, GpuStep) else [_known(after)]
            # The kernel's own place for it is written again two passes later.
            chosen = self._step.run(token, start, self._table(pages), store, 1)[1].clone()
        on_host = torch.empty(1, dtype=torch.int32, pin_memory=True)
        on_host.copy_(chosen, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        return GpuStep(chosen, on_host, done)

    def _checked(
        self,
        kv: KVStore,
        token_ids: Sequence[int],
        start: int,
        pages: Sequence[int],
        num_logits: int,
    ) -> PagedKV:
        if kv is not self._kv or not isinstance(kv, PagedKV):
            raise TypeError("a model runs on the store its own new_kv made")
        check_pass(token_ids, start, pages, kv, num_logits)
        return kv

    def _table(self, pages: Sequence[int]) -> Tensor:
        """The pages as int32 on the device. Most passes have those of the one before."""
        if pages != self._pages:
            self._pages = list(pages)
            self._page_table = torch.tensor(self._pages, dtype=torch.int32).to(self._device)
        return self._page_table


class GpuStep:
    """A decode step under way. `on_device`: int32 `[1]`, where its token is or will be; its own, since
    a job may pause for any number of others' steps with this one in flight."""

    def __init__(self, on_device: Tensor, on_host: Tensor, done: torch.cuda.Event) -> None:
        """`on_host` holds the token once `done` has happened."""
        self.on_device = on_device
        self._on_host = on_host
        self._done = done
        self._token_id: int | None = None

    def token_id(self) -> int:
        """As `Step.token_id`."""
        if self._token_id is None:
            self._done.synchronize()
            self._token_id = int(self._on_host)
        return self._token_id


def _known(after: int | Step) -> int:
    """The id of a token that is known, or that must be waited for."""
    return after if isinstance(after, int) else after.token_id()
