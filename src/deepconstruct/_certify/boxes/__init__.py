"""ReLU and step networks on boxes and regions."""
