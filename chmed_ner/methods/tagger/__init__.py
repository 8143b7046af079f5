"""A transformer that gives each character a tag: its pieces, network, training and files."""
