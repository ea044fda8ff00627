"""Names that more than one module uses."""

from typing import Final

DOMAIN: Final = "netsapiens"
MANUFACTURER: Final = "NetSapiens"

CONF_BASE_URL: Final = "base_url"
CONF_USER: Final = "user"
CONF_FROM_NUMBER: Final = "from_number"

# In the entry's data: the names of its actions in the notify domain.
CONF_ACTION: Final = "action"
CONF_RECIPIENT_ACTIONS: Final = "recipient_actions"

SUBENTRY_RECIPIENT: Final = "recipient"
CONF_CONTACT: Final = "contact"
CONF_DESTINATION: Final = "destination"
CONF_GROUP: Final = "group"

CONF_KEEP_UNDELIVERED: Final = "keep_undelivered"  # minutes
DEFAULT_KEEP_UNDELIVERED: Final = 15
CONF_HOURLY_LIMIT: Final = "hourly_limit"  # texts; 0 = none
DEFAULT_HOURLY_LIMIT: Final = 500
CONF_MMS_LIMIT: Final = "mms_limit_kb"
DEFAULT_MMS_LIMIT: Final = 600
CONF_PICTURE_TEXT: Final = "picture_text"
PICTURE_TEXT_SEPARATE: Final = "separate"
PICTURE_TEXT_TOGETHER: Final = "together"
CONF_PLAIN_CHARACTERS: Final = "plain_characters"
CONF_SAVE_PICTURES: Final = "save_pictures"
SAVE_RECIPIENTS: Final = "recipients"
SAVE_EVERYBODY: Final = "everybody"
SAVE_NOBODY: Final = "nobody"

CONF_CLOUDHOOK_URL: Final = "cloudhook_url"
CONF_INCOMING: Final = "incoming"
INCOMING_POLL: Final = "poll"
INCOMING_PUSH: Final = "push"
INCOMING_OFF: Final = "off"

EVENT_RECEIVED: Final = "received"
EVENT_FAILED: Final = "failed"
