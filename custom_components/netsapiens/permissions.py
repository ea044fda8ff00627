"""What the user behind a call may do. What calls for nobody, such as an automation, may do all."""

from collections.abc import Iterable

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized, UnknownUser


async def async_user_of(hass: HomeAssistant, context: Context | None) -> User | None:
    """Return the user behind a call; None where there is none.

    Raises:
        UnknownUser: the user is gone.
    """
    if context is None or context.user_id is None:
        return None
    user = await hass.auth.async_get_user(context.user_id)
    if user is None:
        raise UnknownUser(context=context)
    return user


async def async_check_entities(
    hass: HomeAssistant, context: Context | None, entity_ids: Iterable[str], permission: str
) -> None:
    """Check that the caller has a permission for these entities.

    Raises:
        Unauthorized: not for one of them.
        UnknownUser: the user is gone.
    """
    user = await async_user_of(hass, context)
    for entity_id in entity_ids:
        if user is not None and not user.permissions.check_entity(entity_id, permission):
            raise Unauthorized(context=context, entity_id=entity_id, permission=permission)


async def async_check_admin(hass: HomeAssistant, context: Context | None) -> None:
    """Check that the caller is an administrator, who may read messages with anybody.

    Raises:
        Unauthorized: the caller is another user.
        UnknownUser: the user is gone.
    """
    user = await async_user_of(hass, context)
    if user is not None and not user.is_admin:
        raise Unauthorized(context=context, permission=POLICY_READ)


async def async_check_numbers(hass: HomeAssistant, context: Context | None) -> None:
    """Check that the caller may text anybody: a user whose policy names some entities may text no others.

    Raises:
        Unauthorized: the caller may not.
        UnknownUser: the user is gone.
    """
    user = await async_user_of(hass, context)
    if user is not None and not (user.is_admin or user.permissions.access_all_entities(POLICY_CONTROL)):
        raise Unauthorized(context=context, permission=POLICY_CONTROL)
