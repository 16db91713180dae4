"""Distillation, fine-tuning and evaluation: an optional extra, which only the terminal uses."""
