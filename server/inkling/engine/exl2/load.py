"""A checkpoint folder as a model: EXL2 matrices are dequantized, plain tensors converted."""

from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import OPTIONAL, REQUIRED, parse
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.reference import GptOss
from inkling.engine.model.weights import LayerWeights, Weights


def load_checkpoint(
    folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> GptOss:
    """Load `config.json` and the safetensors files of `folder` as the reference model.

    Any matrix may be EXL2 or plain (fp16, bf16, fp32). Takes `dtype` for every weight, so a
    model needs 4 bytes a parameter in fp32, however few bits it has on disk.

    Raises CheckpointError, naming the file or tensor, for all that cannot be used: files missing
    or truncated, another architecture, tensors missing, of a wrong shape or type, or not finite.
    """
    with TensorFiles(folder) as files:
        config = GptOssConfig.from_json(folder / "config.json")
        return GptOss(config, _Loader(files, config, torch.device(device), dtype).weights())


class _Loader:
    """Reads the tensors of one model by their names on disk."""

    def __init__(
        self, files: TensorFiles, config: GptOssConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._files = files
        self._config = config
        self._device = device
        self._dtype = dtype

    def weights(self) -> Weights:
        """All tensors of the model."""
        config = self._config
        hidden, vocab = config.hidden_size, config.vocab_size
        embedding = self._linear("model.embed_tokens", hidden, vocab).t().contiguous()
        is_tied = config.tie_word_embeddings
        return Weights(
            embedding=embedding,
            layers=tuple(self._layer(f"model.layers.{i}") for i in range(config.num_layers)),
            norm=self._plain("model.norm.weight", hidden),
            head=embedding.t() if is_tied else self._linear("lm_head", hidden, vocab),
        )

    def _layer(self, name: str) -> LayerWeights:
        config = self._config
        hidden, inner = config.hidden_size, config.intermediate_size
        attention, mlp = f"{name}.self_attn", f"{name}.mlp"
        heads_width = config.num_heads * config.head_dim
        widths = {
            "q_proj": heads_width,
            "k_proj": config.num_kv_heads * config.head_dim,
            "v_proj": config.num_kv_heads * config.head_dim,
        }
        experts = [f"{mlp}.experts.{i}" for i in range(config.num_experts)]
        gate_up, down = "gate_up_proj", "down_proj"
        return LayerWeights(
            input_norm=self._plain(f"{name}.input_layernorm.weight", hidden),
            qkv=torch.cat(
                [self._linear(f"{attention}.{part}", hidden, n) for part, n in widths.items()], 1
            ),
            qkv_bias=torch.cat(
                [self._plain(f"{attention}.{part}.bias", n) for part, n in widths.items()]
            ),
            sinks=self._plain(f"{attention}.sinks", config.num_heads),
            attention_out=self._linear(f"{attention}.o_proj", heads_width, hidden),
            attention_out_bias=self._plain(f"{attention}.o_proj.bias", hidden),
            post_attention_norm=self._plain(f"{name}.post_attention_layernorm.weight", hidden),
            router=self._linear(f"{mlp}.router", hidden, config.num_experts),
            router_bias=self._plain(f"{mlp}.router.bias", config.num_experts),
            gate_up=tuple(
                _gates_first(self._linear(f"{expert}.{gate_up}", hidden, 2 * inner))
                for expert in experts
            ),
            gate_up_bias=tuple(
                _gates_first(self._plain(f"{expert}.{gate_up}.bias", 2 * inner))
                for expert in experts
            ),
            down=tuple(self._linear(f"{expert}.{down}", inner, hidden) for expert in experts),
            down_bias=tuple(self._plain(f"{expert}.{down}.bias", hidden) for expert in experts),
        )

    def _plain(self, name: str, *shape: int) -> Tensor:
        return self._files.read_plain(name, shape).to(self._device, self._dtype)

    def _linear(self, name: str, in_features: int, out_features: int) -> Tensor:
        """The matrix `[in, out]` of a linear layer; plain ones are stored `[out, in]`."""
        if f"{name}.q_weight" not in self._files:
            weight = self._plain(f"{name}.weight", out_features, in_features)
            return weight.t().contiguous()
        parts = {
            part: self._files.read(f"{name}.{part}")
            for part in (*REQUIRED, *OPTIONAL)
            if part in REQUIRED or f"{name}.{part}" in self._files
        }
        matrix = parse(name, parts, in_features, out_features)
        return dequantize(matrix).to(self._device, self._dtype)


def _gates_first(interleaved: Tensor) -> Tensor:
    """Columns gate, up, gate, up, ... as stored, to all gates and then all ups."""
    return torch.cat((interleaved[..., ::2], interleaved[..., 1::2]), -1)
