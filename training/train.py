"""Train the demo model. Rows are built by worker processes beside it; it resumes where it stopped.

    python -m training.train DATA WORK [--start CHECKPOINT] [--seconds S] [--stop-after S]

DATA holds corpus-*.jsonl.xz and tokenizer.json. WORK gets projects/ (the packages; their
indexes lie in the user's cache), checkpoint.pt (weights, optimizers, progress; every two minutes),
weights.safetensors (bf16, transformers' names) and log.txt. --start is a checkpoint whose weights are
the first ones, with the same tokenizer; without it they are random. Progress is measured in seconds
of training: --seconds is the whole schedule, --stop-after ends this run
earlier. A number in a file WORK/seconds sets the schedule's length anew while it runs.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inkling.tokenizer import Tokenizer
from training.config import Schedule, TrainingConfig
from training.documents import Document, read_documents
from training.muon import Muon
from training.network import Network, make_masks, weighted_loss
from training.projects import Projects
from training.row_stream import RowStream
from training.rows import CLASS_SHIFT, TOKEN_MASK
from training.start import state_of

CHECKPOINT_EVERY = 120.0  # seconds
LOG_EVERY = 200  # steps
SEEDS_APART = 1000  # more than there are processes that build rows
FIRST_ROWS = 2048  # rows there before the first step
CAPACITY = {"cuda": 500_000, "cpu": 1024}  # rows kept


@dataclass
class Progress:
    """What a checkpoint says of the run so far. `seconds` counts steps only, not starting up."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    restarts: int = 0


class Trainer:
    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device = config, device
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.network = Network(config.model).to(device)
        self.progress = Progress()
        self.masks = make_masks(config.model, config.rows.row_len, device)
        self._loss = weighted_loss
        self._weights = torch.tensor(config.schedule.weights, device=device)
        self._make_optimizers()
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")
            # The layers differ in parameters and masks, not in code: one limit for all of them.
            torch._dynamo.config.recompile_limit = 64
            for layer in self.network.model.layers:
                layer.compile(dynamic=False)
            self._loss = torch.compile(weighted_loss, dynamic=False)
            self.muon.compile()

    def _make_optimizers(self) -> None:
        schedule = self.config.schedule
        matrices, tables, rest = [], [], []
        for name, parameter in self.network.named_parameters():
            if name in ("model.embed_tokens.weight", "lm_head.weight"):
                tables.append(parameter)
            elif "bias" in name or "router" in name or parameter.dim() < 2:
                rest.append(parameter)
            else:
                matrices.append(parameter)
        self.muon = Muon(matrices, schedule.momentum, schedule.weight_decay)
        self.adam = torch.optim.AdamW(
            [
                {"params": tables, "weight_decay": schedule.weight_decay},
                {"params": rest, "weight_decay": 0.0},
            ],
            lr=schedule.adam_lr,
            betas=schedule.betas,
            fused=self.device.type == "cuda",
        )

    def step(self, rows: Tensor, factor: float) -> Tensor:
        """One update at `factor` of the full learning rates; returns [loss, middle loss, unevenness
        of routing, gradient norm] on the device. Bad gradients (NaN, infinite) change nothing."""
        schedule = self.config.schedule
        packed = rows.int() & 0xFFFF
        ids, kinds = (packed & TOKEN_MASK).long(), packed >> CLASS_SHIFT
        weights = self._weights[kinds[:, 1:].long()]
        hidden, uneven = self.network.hidden(ids[:, :-1], self.masks, self.dtype)
        loss, plain, middle = self._loss(hidden, self.network.lm_head.weight, ids[:, 1:], weights)
        torch.autograd.backward(loss + schedule.balance_weight * uneven)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), schedule.clip_norm)
        is_good = torch.isfinite(norm).float()
        for group in self.adam.param_groups:
            group["lr"] = schedule.adam_lr * factor
            for parameter in group["params"]:
                parameter.grad = torch.where(is_good > 0, parameter.grad, 0.0)
        self.adam.step()
        self.muon.step(schedule.muon_lr * factor, is_good)
        self.network.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.tokens += ids[:, 1:].numel()
        return torch.stack([plain, middle, uneven.detach(), norm])

    def save(self, file: Path) -> bool:
        """Write a checkpoint unless a weight is not finite; returns whether it was written."""
        if not all(bool(torch.isfinite(p).all()) for p in self.network.parameters()):
            return False
        state = {
            "network": self.network.state_dict(),
            "muon": self.muon.buffers,
            "adam": self.adam.state_dict(),
            "progress": vars(self.progress),
        }
        _replace(file, lambda part: torch.save(state, part))
        weights = {name: w.bfloat16().cpu() for name, w in self.network.state_dict().items()}
        _replace(file.parent / "weights.safetensors", lambda part: save_file(weights, part))
        return True

    def load(self, file: Path) -> None:
        state = torch.load(file, map_location=self.device)
        self.network.load_state_dict(state["network"])
        for shape, buffer in state["muon"].items():
            self.muon.buffers[shape].copy_(buffer)
        self.adam.load_state_dict(state["adam"])
        self.progress = Progress(**state["progress"])


def _replace(file: Path, write: Any) -> None:
    part = file.with_name(file.name + ".part")
    write(part)
    os.replace(part, file)


def learning_rate_factor(schedule: Schedule, step: int, done: float) -> float:
    """Warm-up by steps, constant, then linearly to zero as `done` goes to 1."""
    warm = min(1.0, (step + 1) / schedule.warmup_steps)
    return warm * min(1.0, (1.0 - done) / (1.0 - schedule.decay_from))


class Log:
    """Lines with the time since the start, to the terminal and to a file."""

    def __init__(self, file: Path) -> None:
        self._file, self._start = file, time.monotonic()

    def __call__(self, text: str) -> None:
        line = f"[{time.monotonic() - self._start:6.1f} s] {text}"
        print(line, flush=True)
        with self._file.open("a") as stream:
            stream.write(line + "\n")


def train(trainer: Trainer, stream: RowStream, work: Path, seconds: float, stop: float) -> None:
    """Steps until the schedule's `seconds` are used up, or until `stop` of them."""
    schedule, log = trainer.config.schedule, Log(work / "log.txt")
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        trainer.load(checkpoint)
        log(f"resumed at {trainer.progress}")
    stream.wait(2 * schedule.rows_per_step)
    log("first rows built")
    trainer.step(
        stream.batch(schedule.rows_per_step), 0.0
    )  # compiles; changes nothing but momentum
    log("compiled")
    stream.wait(FIRST_ROWS if trainer.device.type == "cuda" else 0)
    progress, recent = trainer.progress, []
    last, saved = time.monotonic(), progress.seconds
    log_at, log_seconds = progress.step, progress.seconds
    while progress.seconds < min(seconds, stop):
        factor = learning_rate_factor(schedule, progress.step, progress.seconds / seconds)
        recent.append(trainer.step(stream.batch(schedule.rows_per_step), factor))
        if progress.step % 20 == 0 and trainer.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.monotonic()
        progress.seconds, last = progress.seconds + now - last, now
        if progress.step - log_at >= LOG_EVERY:
            loss, middle, uneven, norm = torch.stack(recent).mean(0).tolist()
            tokens = (progress.step - log_at) * schedule.rows_per_step * trainer.config.rows.row_len
            rate = tokens / (progress.seconds - log_seconds)
            log(
                f"step {progress.step} at {progress.seconds:.0f} s of {seconds:.0f}, "
                f"factor {factor:.3f}: loss {loss:.4f}, middle {middle:.4f}, uneven {uneven:.3f}, "
                f"norm {norm:.3f}, {rate / 1e3:.0f}k tokens/s, rows {stream.num_built} built, "
                f"{stream.num_repeated} used again"
            )
            recent, log_at, log_seconds = [], progress.step, progress.seconds
            if (work / "seconds").exists():
                seconds = float((work / "seconds").read_text())
        if progress.seconds - saved >= CHECKPOINT_EVERY:
            saved = progress.seconds
            if not trainer.save(checkpoint):
                restarts = progress.restarts + 1
                log("weights are not finite: back to the last checkpoint, at half the rates")
                trainer.load(checkpoint)
                progress = trainer.progress
                progress.restarts = restarts
            last = time.monotonic()
    trainer.save(checkpoint)
    log(f"done: {trainer.progress}")


def steps_done(checkpoint: Path) -> int:
    """How many steps an earlier run made, 0 without one."""
    if not checkpoint.exists():
        return 0
    return int(torch.load(checkpoint, map_location="cpu")["progress"]["step"])


def load_corpus(folder: Path) -> list[Document]:
    """Every document of the corpus; the files are decompressed side by side."""
    files = sorted(folder.glob("corpus-*.jsonl.xz"))
    with ProcessPoolExecutor() as pool:
        return [document for group in pool.map(_read, files) for document in group]


def _read(file: Path) -> list[Document]:
    return list(read_documents(file))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--seconds", type=float, default=Schedule().seconds)
    parser.add_argument("--stop-after", type=float, default=float("inf"))
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    config = TrainingConfig()
    documents = load_corpus(arguments.data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    projects = Projects(arguments.work / "projects")
    projects.lay_out(documents)
    stream = RowStream(
        documents,
        Tokenizer.load(arguments.data),
        projects,
        config.rows,
        # A run that goes on has had the first rows.
        seed=config.seed + SEEDS_APART * steps_done(arguments.work / "checkpoint.pt"),
        num_workers=arguments.workers,
        capacity=CAPACITY[device.type],
        device=device,
    )
    try:
        trainer = Trainer(config, device)
        if arguments.start is not None:
            trainer.network.load_state_dict(state_of(arguments.start))
        train(trainer, stream, arguments.work, arguments.seconds, arguments.stop_after)
    finally:
        stream.close()


if __name__ == "__main__":
    main()
