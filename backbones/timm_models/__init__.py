"""Every timm model that gives features, as a backbone: `adapter.TimmBackbone`."""
