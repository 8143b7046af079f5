"""ChatGLM2-6B and Baichuan-7B from checkpoints in their original layout, without their code.

Their tensors are renamed and split into those of transformers' own GLM and Llama classes; their
tokenizers run on sentencepiece itself.
"""
