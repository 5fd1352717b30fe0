"""Everything that can go wrong, in one place.

Each message says what came, what was expected and what to do. ``status`` is the HTTP status under which a server
reports the error; ``code`` is a stable machine-readable name.
"""


class AmdDasError(Exception):
    """Base of all errors this package raises on purpose."""

    status: int = 500
    code: str = "internal"


class InputError(AmdDasError):
    """The input cannot be segmented; another input is needed."""

    status = 422
    code = "bad_input"


class UnreadableError(InputError):
    """Not an image, truncated, empty, or broken tags."""

    code = "unreadable"


class GeometryError(InputError):
    """Wrong number of dimensions, impossible affine, missing, duplicate or unevenly spaced slices, mixed series."""

    code = "geometry"


class NotHeadCtError(InputError):
    """Values are not HU (an MR, a windowed export), not finite, or no brain is in view."""

    code = "not_head_ct"


class TooLargeError(InputError):
    """More bytes or voxels than the configured limits."""

    status = 413
    code = "too_large"


class NotFoundError(AmdDasError):
    """An id, file or model version that does not exist."""

    status = 404
    code = "not_found"


class ConfigError(AmdDasError):
    """A setting has an unknown name or an impossible value."""

    status = 400
    code = "bad_config"


class ModelError(AmdDasError):
    """The model is absent, damaged or of another version; nothing is ever segmented with random weights."""

    status = 503
    code = "model"


class TrainingError(AmdDasError):
    """Training cannot start or go on: too little data, losses that are not finite, not enough memory or disk."""

    status = 422
    code = "training"


class TrainingStopped(TrainingError):
    """Training was asked to stop, and did; it can be continued."""

    code = "stopped"


class ProcessLostError(AmdDasError):
    """A process that did a part of the work was ended from outside; what is done stays, and it can be continued."""

    status = 503
    code = "process_lost"


class PacsError(AmdDasError):
    """The PACS answered with an error, or with something that is no DICOMweb."""

    status = 502
    code = "pacs"


class PacsUnreachableError(PacsError):
    """The PACS does not answer, or not in time; a later attempt may succeed."""

    status = 503
    code = "pacs_unreachable"


class PacsCredentialsError(PacsError):
    """The PACS refuses the user name, password or token."""

    code = "pacs_credentials"


class CacheError(AmdDasError):
    """Series from the PACS cannot be kept on disk: no space, no permission."""

    status = 507
    code = "cache"
