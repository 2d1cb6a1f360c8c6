/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/codes.h"

#include <stdbool.h>

#include "base/check.h"

static const char *const error_names[] = {
    [SLUICE_ERROR_PROTOCOL] = "protocol error",
    [SLUICE_ERROR_UNKNOWN_TYPE] = "unknown frame type",
    [SLUICE_ERROR_FRAME_TOO_BIG] = "frame too big",
    [SLUICE_ERROR_BAD_STATE] = "bad state",
    [SLUICE_ERROR_NO_SUCH_CLIENT] = "no such client",
    [SLUICE_ERROR_FLOW_CONTROL] = "flow control",
    [SLUICE_ERROR_LIMIT] = "limit",
    [SLUICE_ERROR_UNSUPPORTED] = "unsupported",
    [SLUICE_ERROR_DENIED] = "denied",
    [SLUICE_ERROR_VERSION] = "version",
    [SLUICE_ERROR_AUTH] = "authentication",
    [SLUICE_ERROR_ADDR_IN_USE] = "address in use",
    [SLUICE_ERROR_TIMEOUT] = "timeout",
    [SLUICE_ERROR_INTERNAL] = "internal error",
    [SLUICE_ERROR_BAD_UTF8] = "bad UTF-8",
    [SLUICE_ERROR_MESSAGE_TOO_BIG] = "message too big",
    [SLUICE_ERROR_WS_PROTOCOL] = "WebSocket protocol error",
    [SLUICE_ERROR_CONFLICT] = "conflict",
    [SLUICE_ERROR_HANDSHAKE] = "handshake",
};

static const char *const cause_names[] = {
    [SLUICE_CAUSE_CLIENT_CLOSE] = "client close",
    [SLUICE_CAUSE_BACKEND_CLOSE] = "backend close",
    [SLUICE_CAUSE_TERMINATE] = "terminated",
    [SLUICE_CAUSE_EOF] = "end of stream",
    [SLUICE_CAUSE_SOCKET_ERROR] = "socket error",
    [SLUICE_CAUSE_IDLE] = "idle",
    [SLUICE_CAUSE_PING_TIMEOUT] = "ping timeout",
    [SLUICE_CAUSE_PROTOCOL_ERROR] = "protocol error",
    [SLUICE_CAUSE_TOO_BIG] = "too big",
    [SLUICE_CAUSE_BAD_UTF8] = "bad UTF-8",
    [SLUICE_CAUSE_SLOW_CLIENT] = "slow client",
    [SLUICE_CAUSE_BACKEND_LOST] = "backend lost",
    [SLUICE_CAUSE_SHUTDOWN] = "shutdown",
    [SLUICE_CAUSE_REJECTED] = "rejected",
    [SLUICE_CAUSE_ACCEPT_TIMEOUT] = "accept timeout",
    [SLUICE_CAUSE_LIMIT] = "limit",
    [SLUICE_CAUSE_MOVED] = "moved",
    [SLUICE_CAUSE_LEFT_EARLY] = "client left before accept",
};

const char *sluice_error_name(unsigned code)
{
    bool known = code < COUNT(error_names) && error_names[code];
    return known ? error_names[code] : "unknown";
}

const char *sluice_cause_name(unsigned cause)
{
    return cause < COUNT(cause_names) ? cause_names[cause] : "unknown";
}
