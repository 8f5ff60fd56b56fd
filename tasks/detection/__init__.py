"""Object detection: torchvision's heads on our backbones, judged by the COCO metrics."""
