"""Many runs side by side: what `chmed-ner report` writes. README.md here says how rows are made."""
