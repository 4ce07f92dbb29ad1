"""The Chinese text tower: a BERT encoder with a projection, in Chinese-CLIP's parameter names.

Lives here: the size record and the forward pass (Yang et al. 2022, Chinese-CLIP; Devlin et al. 2019, BERT). Not here:
tokenisation and the import of released weights.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from training.config.towers import ChineseTextConfig

LAYER_NORM_EPSILON = 1e-12
NUM_TOKEN_TYPES = 2


class ChineseTextTower(nn.Module):
    """Embed Chinese token ids into the joint space by the output at the first position, [CLS]."""

    def __init__(self, config: ChineseTextConfig) -> None:
        """Build the tower with random weights (normal, standard deviation 0.02, as BERT)."""
        super().__init__()
        self.bert = _Bert(config)
        self.text_projection = nn.Parameter(torch.empty(config.width, config.embed_dim))
        nn.init.normal_(self.text_projection, std=config.width**-0.5)
        self.bert.apply(_initialise)

    def forward(
        self, token_ids: Int[Tensor, "L length"], attention_mask: Int[Tensor, "L length"]
    ) -> Float[Tensor, "L D"]:
        """Return unit-length embeddings; positions where `attention_mask` is 0 are ignored."""
        states = self.bert(token_ids, attention_mask != 0)
        return functional.normalize(states[:, 0] @ self.text_projection, dim=-1)


class _Bert(nn.Module):
    """Embeddings and encoder, without the pooler that Chinese-CLIP does not use."""

    def __init__(self, config: ChineseTextConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config)

    def forward(
        self, token_ids: Int[Tensor, "L length"], is_token: Bool[Tensor, "L length"]
    ) -> Float[Tensor, "L length D"]:
        """Return the last hidden states."""
        states: Tensor = self.encoder(self.embeddings(token_ids), is_token[:, None, None, :])
        return states


class _Embeddings(nn.Module):
    """Sum of word, position and token-type embeddings, normalised."""

    def __init__(self, config: ChineseTextConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.width)
        self.position_embeddings = nn.Embedding(config.num_positions, config.width)
        self.token_type_embeddings = nn.Embedding(NUM_TOKEN_TYPES, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPSILON)

    def forward(self, token_ids: Int[Tensor, "L length"]) -> Float[Tensor, "L length D"]:
        """Embed ids that all belong to the first token type."""
        # Not `self.word_embeddings(token_ids)`: the exporter would call that node `embedding`, as the graph's output.
        words = self.word_embeddings.weight[token_ids.long()]
        positions = self.position_embeddings.weight[: token_ids.shape[1]]
        normalised: Tensor = self.LayerNorm(words + positions + self.token_type_embeddings.weight[0])
        return normalised


class _Encoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: ChineseTextConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList([_Layer(config) for _ in range(config.num_layers)])

    def forward(
        self, states: Float[Tensor, "L length D"], mask: Bool[Tensor, "L 1 1 length"]
    ) -> Float[Tensor, "L length D"]:
        """Run all layers under one mask."""
        for layer in self.layer:
            states = layer(states, mask)
        return states


class _Layer(nn.Module):
    """Post-norm transformer layer: attention, add, norm; MLP with exact GELU, add, norm."""

    def __init__(self, config: ChineseTextConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = _Dense(config.width, config.mlp_width)
        self.output = _DenseAddNorm(config.mlp_width, config.width)

    def forward(
        self, states: Float[Tensor, "L length D"], mask: Bool[Tensor, "L 1 1 length"]
    ) -> Float[Tensor, "L length D"]:
        """Attend to the positions where `mask` is true, then apply the MLP."""
        states = self.attention(states, mask)
        transformed: Tensor = self.output(functional.gelu(self.intermediate.dense(states)), states)
        return transformed


class _Attention(nn.Module):
    """Self-attention with its residual sum and norm."""

    def __init__(self, config: ChineseTextConfig) -> None:
        super().__init__()
        # BERT's checkpoints call the projections `self`; a module may have an attribute of that name.
        self.self = _Projections(config)
        self.output = _DenseAddNorm(config.width, config.width)

    def forward(
        self, states: Float[Tensor, "L length D"], mask: Bool[Tensor, "L 1 1 length"]
    ) -> Float[Tensor, "L length D"]:
        """Attend to the positions where `mask` is true."""
        query, key, value = self.self(states)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended: Tensor = self.output(mixed.transpose(1, 2).flatten(-2), states)
        return attended


class _Projections(nn.Module):
    """Query, key and value of every head."""

    def __init__(self, config: ChineseTextConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)

    def forward(self, states: Float[Tensor, "L length D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value as [L, heads, length, head width]."""
        query, key, value = (
            linear(states).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        return query, key, value


class _Dense(nn.Module):
    """A linear layer under the name that BERT's checkpoints give it."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(in_width, out_width)


class _DenseAddNorm(_Dense):
    """A linear layer, the residual sum, and the norm after it."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__(in_width, out_width)
        self.LayerNorm = nn.LayerNorm(out_width, eps=LAYER_NORM_EPSILON)

    def forward(
        self, hidden: Float[Tensor, "L length H"], residual: Float[Tensor, "L length D"]
    ) -> Float[Tensor, "L length D"]:
        """Return the normalised sum."""
        normalised: Tensor = self.LayerNorm(residual + self.dense(hidden))
        return normalised


def _initialise(module: nn.Module) -> None:
    """Draw BERT's initial weights for one module."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
