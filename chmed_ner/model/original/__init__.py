"""ChatGLM2-6B and Baichuan-7B in their original layout, without the code of its own."""
