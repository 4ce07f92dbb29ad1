"""Every error that DuoAct raises for the outside world; programming errors stay ``ValueError`` and ``TypeError``.

    DuoActError
    ├── MalformedRequestError        a field that cannot be read
    ├── ImpossibleRequestError       readable, but not to be had from this bundle
    │   ├── LabelError
    │   └── LanguageError
    ├── NotFoundError                a label set or a video id that is not stored
    ├── VideoError
    │   ├── UnsupportedVideoError    not a container or codec that is accepted
    │   ├── UndecodableVideoError    no usable frames inside
    │   └── VideoTooLargeError       bytes, pixels, duration, frames
    ├── BundleError                  manifest or files that do not agree
    ├── QueueFullError               try again later
    ├── EncoderUnavailableError      the engine is away
    │   └── EncoderSilentError       it did not answer in time
    ├── DecoderUnavailableError      no process can read the video now
    ├── StorageFullError             no room for the upload
    ├── StorageUnavailableError      no folder for the upload
    └── DeadlineExceededError        the request's time is used up

Each message says what was given, what is allowed and what to do. All of them survive pickling, because training
reads videos in other processes.
"""


class DuoActError(Exception):
    """Base of every error whose message is meant for the person who sent the request."""


class MalformedRequestError(DuoActError):
    """A field of the request cannot be read: wrong JSON, wrong encoding, wrong type."""


class ImpossibleRequestError(DuoActError):
    """A readable request that this bundle, or any bundle, cannot answer."""


class LabelError(ImpossibleRequestError):
    """A label list that is too long, or holds an empty, repeated or overlong label."""


class LanguageError(ImpossibleRequestError):
    """Labels lack a language that the request needs, or share none."""


class NotFoundError(DuoActError):
    """The named label set or video id is not stored here."""


class VideoError(DuoActError):
    """The upload is at fault."""


class UnsupportedVideoError(VideoError):
    """The bytes are not a container and codec that are accepted."""


class UndecodableVideoError(VideoError):
    """The container opens, but does not yield the frames that are needed."""


class VideoTooLargeError(VideoError):
    """A limit on bytes, pixels, duration or frames is exceeded."""


class BundleError(DuoActError):
    """The manifest cannot be believed: unknown key, missing file, wrong digest, impossible combination."""


class QueueFullError(DuoActError):
    """Too many requests are waiting.

    Args:
        message: what is full and how full.
        retry_after_seconds: when it makes sense to try again.
    """

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message, retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return str(self.args[0])


class EncoderUnavailableError(DuoActError):
    """The inference engine does not answer, or answers wrongly."""


class EncoderSilentError(EncoderUnavailableError):
    """The inference engine did not answer in time: it is busy, or hangs."""


class StorageFullError(DuoActError):
    """There is no room for an upload: the folder is full, or all uploads together use their quota up."""


class StorageUnavailableError(DuoActError):
    """The folder of uploads is gone, or cannot be written to."""


class DecoderUnavailableError(DuoActError):
    """No decoding worker can be had, or each one that took the video was ended by somebody else."""


class DeadlineExceededError(DuoActError):
    """The request's deadline passed before the answer was ready."""
