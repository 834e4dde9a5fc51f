"""Templates: machines frozen right after their boot, kept as files. Knows no libvirt and starts nothing."""

from kvm_action.frozen.model import NoRoomError, Shape, Template, TemplateError
from kvm_action.frozen.store import Draft, TemplateStore

__all__ = ["Draft", "NoRoomError", "Shape", "Template", "TemplateError", "TemplateStore"]
