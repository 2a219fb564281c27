"""All numbers of the demo model: shape, rows, training. One seed for everything random."""

from dataclasses import dataclass, field

SEED = 20_251_124

# Order matters: the ids are 0, 1, 2, ...
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|channel|>",
    "<|return|>",
    "<|startoftext|>",
    "<|constrain|>",
    "<|call|>",
)


@dataclass(frozen=True)
class ModelShape:
    """A gpt-oss of the smallest useful size. Names as in transformers' GptOssConfig."""

    vocab_size: int = 8192
    hidden_size: int = 384
    num_hidden_layers: int = 8
    num_attention_heads: int = 6
    num_key_value_heads: int = 2
    head_dim: int = 64
    num_local_experts: int = 8
    num_experts_per_tok: int = 4
    intermediate_size: int = 224
    sliding_window: int = 128
    rope_theta: float = 150_000.0
    swiglu_limit: float = 7.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 4096

    @property
    def windows(self) -> tuple[int, ...]:
        """The attention window of each layer, 0 = all positions: alternating, sliding first."""
        return tuple(
            0 if layer % 2 else self.sliding_window for layer in range(self.num_hidden_layers)
        )


@dataclass(frozen=True)
class RowShape:
    """How training rows are made of files. Lengths are tokens; shares are probabilities."""

    row_len: int = 4096
    prompt_budget: int = 3936  # what the server gives a prompt: the context less a block
    full_budget_share: float = 0.3
    cpu_budget: int = 1120  # the same where the engine runs on a CPU
    cpu_budget_share: float = 0.35  # other rows draw one between the smallest and the full one
    smallest_budget: int = 224
    longest_middle: int = 160
    python_share: float = 0.62
    plain_share: float = 0.12  # rows of whole files; what is left of other rows is filled as well
    block_share: float = 0.40
    lines_share: float = 0.10
    between_share: float = 0.12  # of rest-of-line middles: stop before the line's closing brackets
    prose_share: float = 0.45  # of the cursors that fall into comments and strings, those kept
    chunks_share: float = 0.55
    no_suffix_share: float = 0.12
    earlier_plan_share: float = 0.5  # the plan was made some lines above the cursor


@dataclass(frozen=True)
class Schedule:
    """Optimisation. Progress runs from 0 to 1 over `seconds` of training on one device."""

    seconds: float = 1000.0
    rows_per_step: int = 20
    muon_lr: float = 2e-3  # per-element RMS of an update is 0.2 of it
    adam_lr: float = 1.3e-3
    weight_decay: float = 0.1
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    warmup_steps: int = 300
    decay_from: float = 0.25  # constant until here, then linearly to zero
    balance_weight: float = 0.01
    clip_norm: float = 1.0
    # Loss weight of each kind of token: fixed text, related code and suffix, file text, middle.
    weights: tuple[float, float, float, float] = (0.0, 0.25, 1.0, 4.0)


@dataclass(frozen=True)
class TrainingConfig:
    model: ModelShape = field(default_factory=ModelShape)
    rows: RowShape = field(default_factory=RowShape)
    schedule: Schedule = field(default_factory=Schedule)
    seed: int = SEED
