"""The demo world: stills with captions, tokenizers, and the tiny bilingual CLIP learned from them."""
