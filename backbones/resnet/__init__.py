"""The residual networks: one class, `network.ResNet`, and a table of its variants."""
