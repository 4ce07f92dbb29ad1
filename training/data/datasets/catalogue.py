"""The data sets that can be imported, by name."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from training.data.datasets.generic import read_folders, read_lists, read_table
from training.data.datasets.hmdb51 import read_hmdb51
from training.data.datasets.kinetics import read_kinetics
from training.data.datasets.listing import Listing, Official
from training.data.datasets.moments import read_moments
from training.data.datasets.something_something import read_something_something_v1, read_something_something_v2
from training.data.datasets.ucf101 import read_ucf101

READERS: Mapping[str, Callable[[Official], Listing]] = MappingProxyType(
    {
        "hmdb51": read_hmdb51,
        "ucf101": read_ucf101,
        "something_something_v1": read_something_something_v1,
        "something_something_v2": read_something_something_v2,
        "kinetics_400": partial(read_kinetics, num_classes=400),
        "kinetics_600": partial(read_kinetics, num_classes=600),
        "kinetics_700": partial(read_kinetics, num_classes=700),
        "moments_in_time": read_moments,
        "folders": read_folders,
        "csv": read_table,
        "lists": read_lists,
    }
)
# Layouts that any data set may have.
GENERIC = ("folders", "csv", "lists")
# Those of which a data folder holds one of several official splits at a time.
NUMBERED = ("hmdb51", "ucf101")
