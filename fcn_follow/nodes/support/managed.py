"""A managed (lifecycle) node: it configures and activates itself at the start, or a manager does."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn

from fcn_follow.errors import UserError
from fcn_follow.nodes.support.parameters import ParameterNode

ACTIVE = "active"


class ManagedNode(LifecycleNodeMixin, ParameterNode):  # type: ignore[misc]
    """A node whose four steps are transitions; a step that raises is undone, and its transition refused."""

    def __init__(self, name: str, **options: Any) -> None:
        """Raises UserError like ParameterNode."""
        ParameterNode.__init__(self, name, **options)
        LifecycleNodeMixin.__init__(self)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state
        self._failure: Exception | None = None

    def configure(self) -> None:
        """Load everything that takes time and memory."""
        raise NotImplementedError

    def activate(self) -> None:
        """Begin to work."""
        raise NotImplementedError

    def deactivate(self) -> None:
        """End the work, even if it has not begun; loaded data stays."""
        raise NotImplementedError

    def clean_up(self) -> None:
        """Free what `configure` has loaded, even if only a part."""
        raise NotImplementedError

    def start(self) -> None:
        """Configure and activate without a manager. Raises what a step raises."""
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() is not TransitionCallbackReturn.SUCCESS:
                assert self._failure is not None
                raise self._failure

    @property
    def lifecycle_state(self) -> str:
        """unconfigured, inactive, active, finalized, or the name of the current transition."""
        label: str = self._state_machine.current_state[1]
        return label

    def on_configure(self, _state: Any) -> TransitionCallbackReturn:
        return self._attempt(self.configure, undo=self.clean_up)

    def on_activate(self, _state: Any) -> TransitionCallbackReturn:
        return self._attempt(self.activate, undo=self.deactivate)

    def on_deactivate(self, _state: Any) -> TransitionCallbackReturn:
        return self._attempt(self.deactivate)

    def on_cleanup(self, _state: Any) -> TransitionCallbackReturn:
        return self._attempt(self.clean_up)

    def on_shutdown(self, _state: Any) -> TransitionCallbackReturn:
        self.deactivate()
        return self._attempt(self.clean_up)

    def _attempt(self, step: Callable[[], None], undo: Callable[[], None] | None = None) -> TransitionCallbackReturn:
        try:
            step()
        except Exception as error:  # the node continues in its former state
            self._failure = error
            if undo is not None:
                undo()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _on_change_state(self, request: Any, response: Any) -> Any:
        """The manager's service; it answers an impossible transition too, for which rclpy raises."""
        self._failure = None
        try:
            response = self._change_state(request, response)
        except rclpy_implementation.RCLError:
            response.success = False
            self._failure = UserError(f"there is no such transition from {self.lifecycle_state}")
        if self._failure is not None:
            is_users = isinstance(self._failure, UserError)
            words = str(self._failure) if is_users else "".join(traceback.format_exception(self._failure))
            self.get_logger().error(f"a transition was refused: {words}")
        return response
