"""huggingface_hub, told to be silent. Import it only from here: it reads its settings once."""

import logging
import os
import warnings

# Without it, requests name the torch that is installed and the program that called us.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about variables of older versions
    from huggingface_hub import HfApi, get_session, hf_hub_url, hf_raise_for_status
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)

__all__ = [
    "DisabledRepoError",
    "GatedRepoError",
    "HFValidationError",
    "HfApi",
    "HfHubHTTPError",
    "OfflineModeIsEnabled",
    "RepositoryNotFoundError",
    "RevisionNotFoundError",
    "build_hf_headers",
    "get_session",
    "hf_hub_url",
    "hf_raise_for_status",
]
