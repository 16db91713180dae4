"""The network: timm's TinyViT with SAM's neck, prompt encoder and mask decoder, and its weights."""
