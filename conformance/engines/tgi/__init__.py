"""The double of a Text Generation Inference (TGI) server."""

from .double import TgiDouble, TgiSettings, open_tgi
from .replies import Model

__all__ = ["Model", "TgiDouble", "TgiSettings", "open_tgi"]
