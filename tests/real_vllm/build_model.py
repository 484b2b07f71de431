"""Write a tiny language model that vLLM can serve: random weights, a tokenizer of its own, a chat template.

Run with the Python of `.venv-vllm`, which has `transformers`: `python build_model.py FOLDER`. About 8 million
parameters: small enough to be made in a second, large enough that a step takes longer than telling about it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch  # type: ignore[import-not-found]  # it is in .venv-vllm alone, as the two below
from tokenizers import ByteLevelBPETokenizer  # type: ignore[import-not-found]
from transformers import (  # type: ignore[import-not-found]
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

SENTENCES = (
    "The river runs past a quiet mill and over smooth stones.",
    "Once upon a time there was a sea that nobody had seen.",
    "Count with me: one, two, three, four, five, six, seven.",
    "Ein Café am Fluß — 漢字, 😀 and other letters.",
)
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTEXT_TOKENS = 8192


def build(folder: Path) -> None:
    """Write the model to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SENTENCES, vocab_size=512, special_tokens=["<s>", "</s>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        chat_template=TEMPLATE,
        model_max_length=CONTEXT_TOKENS,
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=8,
        num_attention_heads=8,  # heads of 32 are the smallest that vLLM computes on a CPU
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="bfloat16",
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
