"""What the tensors of a gpt-oss checkpoint are called, and what shapes they have."""

from dataclasses import dataclass

from inkling.engine.model.config import GptOssConfig


@dataclass(frozen=True)
class Vector:
    """A floating-point tensor `name` `[size]`."""

    name: str
    size: int


@dataclass(frozen=True)
class Linear:
    """A matrix: EXL2's tensors `name.q_weight`, ..., MXFP4's `name.blocks` and `name.scales`, or
    `name.weight` `[out, in]`."""

    name: str
    in_features: int
    out_features: int

    @property
    def bias(self) -> Vector:
        return Vector(f"{self.name}.bias", self.out_features)


@dataclass(frozen=True)
class LayerNames:
    """One decoder layer. Each matrix has a bias."""

    input_norm: Vector
    qkv: tuple[Linear, Linear, Linear]
    sinks: Vector
    attention_out: Linear
    post_attention_norm: Vector
    router: Linear
    gate_up: tuple[Linear, ...]  # one of each expert, columns gate, up, gate, up, ...
    down: tuple[Linear, ...]


@dataclass(frozen=True)
class ModelNames:
    """A whole model. The embedding lies as the head does: from hidden features to the vocabulary."""

    embedding: Linear
    layers: tuple[LayerNames, ...]
    norm: Vector
    head: Linear | None  # None: tied to the embedding


def model_names(config: GptOssConfig) -> ModelNames:
    """The tensors that a checkpoint of `config` has."""
    hidden, vocab = config.hidden_size, config.vocab_size
    return ModelNames(
        embedding=Linear("model.embed_tokens", hidden, vocab),
        layers=tuple(
            _layer_names(f"model.layers.{index}", config) for index in range(config.num_layers)
        ),
        norm=Vector("model.norm.weight", hidden),
        head=None if config.tie_word_embeddings else Linear("lm_head", hidden, vocab),
    )


def _layer_names(layer: str, config: GptOssConfig) -> LayerNames:
    hidden, inner = config.hidden_size, config.intermediate_size
    heads_width = config.num_heads * config.head_dim
    kv_width = config.num_kv_heads * config.head_dim
    attention, mlp = f"{layer}.self_attn", f"{layer}.mlp"
    experts = [f"{mlp}.experts.{index}" for index in range(config.num_experts)]
    return LayerNames(
        input_norm=Vector(f"{layer}.input_layernorm.weight", hidden),
        qkv=(
            Linear(f"{attention}.q_proj", hidden, heads_width),
            Linear(f"{attention}.k_proj", hidden, kv_width),
            Linear(f"{attention}.v_proj", hidden, kv_width),
        ),
        sinks=Vector(f"{attention}.sinks", config.num_heads),
        attention_out=Linear(f"{attention}.o_proj", heads_width, hidden),
        post_attention_norm=Vector(f"{layer}.post_attention_layernorm.weight", hidden),
        router=Linear(f"{mlp}.router", hidden, config.num_experts),
        gate_up=tuple(Linear(f"{expert}.gate_up_proj", hidden, 2 * inner) for expert in experts),
        down=tuple(Linear(f"{expert}.down_proj", inner, hidden) for expert in experts),
    )
