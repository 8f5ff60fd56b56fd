"""Images and their annotations: formats, masks, transforms, loading."""

from tasks.data.dataset.fingerprint import Fingerprint, fingerprints, what_changed
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Image, Sample
from tasks.data.dataset.splits import DataSet, Indexed, Split, with_classes
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import CHECKS, LEVELS, Check, DataError, Finding, Findings, Place
from tasks.data.folders.texts import read_text, read_xml
from tasks.data.folders.tree import LayoutError
from tasks.data.formats.converting import convert
from tasks.data.formats.opening import open_data
from tasks.data.images import IMAGE_SUFFIXES, check_size, is_turned, read_image
from tasks.data.intensity import BY_TYPE, UNREADABLE, Intensity, found_range, is_deep
from tasks.data.labels.samples import LabelledSample, LabelledSamples
from tasks.data.loading.batch import Batch, share_sizes
from tasks.data.loading.loader import Loader
from tasks.data.loading.sampling import epoch_repeat_factors
from tasks.data.loading.seeds import sample_seed
from tasks.data.loading.workers import WorkerError
from tasks.data.masks.labels import IGNORE, Labels
from tasks.data.masks.mask_files import MaskFile
from tasks.data.masks.polygons import object_mask, packed_runs
from tasks.data.masks.rasterizing import rasterized_from
from tasks.data.masks.samples import MaskedSample
from tasks.data.reading import AS_RGB, ChannelError, Reading, shown
from tasks.data.transforms.augmentation import load_augmentation, strictly
from tasks.data.transforms.resizing import LONG_SIDE_RATIO, fit_within, resize_image, resize_mask
from tasks.data.transforms.trying import try_augmentation

__all__ = [
    "AS_RGB",
    "BY_TYPE",
    "CHECKS",
    "IGNORE",
    "IMAGE_SUFFIXES",
    "LEVELS",
    "LONG_SIDE_RATIO",
    "UNREADABLE",
    "Batch",
    "ChannelError",
    "Check",
    "DataError",
    "DataSet",
    "Finding",
    "Findings",
    "Fingerprint",
    "Image",
    "Indexed",
    "Intensity",
    "LabelledSample",
    "LabelledSamples",
    "Labels",
    "LayoutError",
    "Loader",
    "MaskFile",
    "MaskedSample",
    "Objects",
    "Place",
    "Reading",
    "Sample",
    "SampleTable",
    "Split",
    "WorkerError",
    "build_table",
    "check_size",
    "convert",
    "epoch_repeat_factors",
    "fingerprints",
    "fit_within",
    "found_range",
    "is_deep",
    "is_turned",
    "load_augmentation",
    "object_mask",
    "open_data",
    "packed_runs",
    "rasterized_from",
    "read_image",
    "read_text",
    "read_xml",
    "resize_image",
    "resize_mask",
    "sample_seed",
    "share_sizes",
    "shown",
    "strictly",
    "try_augmentation",
    "what_changed",
    "with_classes",
]
