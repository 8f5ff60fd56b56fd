"""Trained models at work."""

from tasks.deploy.predictor import Predictor, load_predictor

__all__ = ["Predictor", "load_predictor"]
