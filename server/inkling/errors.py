"""The exceptions a caller may meet. Each message is one sentence a user can act on.

InklingError
├── CheckpointError     a model folder that cannot be used
├── TooLarge            a model that does not fit the GPU
├── EngineUnavailable   no engine answers and none could be started
├── EngineRefused       the engine answered with an error
└── NotInstalled        a part of Inkling that is optional is needed
"""


class InklingError(Exception):
    """Base of all errors shown to users: `str(error)` says what is wrong and what to do."""


class CheckpointError(InklingError):
    """A checkpoint is missing, truncated, or of another architecture."""


class TooLarge(InklingError):
    """A model does not fit the GPU's memory."""


class EngineUnavailable(InklingError):
    """No engine answers and none could be started."""


class EngineRefused(InklingError):
    """The engine answered a request with an error (for example, a prompt longer than the context)."""


class NotInstalled(InklingError):
    """Inkling was installed without what this needs."""
