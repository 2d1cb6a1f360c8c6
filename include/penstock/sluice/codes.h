/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/codes.h - the numbers of Sluice/1 that are not frame types.
 *
 * SLUICE sections 4 to 7.  Bit sets are enums whose names end in what they
 * set; every other enum is a plain number on the wire.
 */
#ifndef PENSTOCK_SLUICE_CODES_H
#define PENSTOCK_SLUICE_CODES_H

/* Who speaks: HELLO, section 5. */
enum sluice_role {
    SLUICE_ROLE_GATEWAY = 1,
    SLUICE_ROLE_BACKEND = 2,
    SLUICE_ROLE_PUBLISHER = 3, /* groups only, owns no clients */
    SLUICE_ROLE_MONITOR = 4,   /* STATS and LOG only */
};

enum sluice_hello_flag {
    SLUICE_HELLO_WANTS_RESUME = 0x01,
    SLUICE_HELLO_HEALTH_CHECK = 0x02, /* answer HELLO, then both close */
};

/* Bits of HELLO's features; the effective set is the AND of both sides. */
enum sluice_feature {
    SLUICE_FEATURE_NONE = 0,
    SLUICE_FEATURE_RESUME = 1 << 0,
    SLUICE_FEATURE_ALO = 1 << 1, /* at-least-once */
    SLUICE_FEATURE_FRAGMENTS = 1 << 2,
    SLUICE_FEATURE_HTTP = 1 << 3,
    SLUICE_FEATURE_CHANNELS = 1 << 4,
    SLUICE_FEATURE_RAW = 1 << 7,
    SLUICE_FEATURE_STATE = 1 << 8,
    SLUICE_FEATURE_MOVE = 1 << 9,
    SLUICE_FEATURE_CLAIM = 1 << 10,
    SLUICE_FEATURE_TUNNEL = 1 << 11,
    SLUICE_FEATURE_BSTREAM = 1 << 12,
    SLUICE_FEATURE_CROSS = 1 << 13,
    SLUICE_FEATURE_WIRECOUNT = 1 << 14,
};

/* Section 7.  Codec functions return these negated. */
enum sluice_error {
    SLUICE_ERROR_PROTOCOL = 1,
    SLUICE_ERROR_UNKNOWN_TYPE = 2,
    SLUICE_ERROR_FRAME_TOO_BIG = 3,
    SLUICE_ERROR_BAD_STATE = 4,
    SLUICE_ERROR_NO_SUCH_CLIENT = 5,
    SLUICE_ERROR_FLOW_CONTROL = 6,
    SLUICE_ERROR_LIMIT = 7,
    SLUICE_ERROR_UNSUPPORTED = 8,
    SLUICE_ERROR_DENIED = 9,
    SLUICE_ERROR_VERSION = 10,
    SLUICE_ERROR_AUTH = 11,
    SLUICE_ERROR_ADDR_IN_USE = 12,
    SLUICE_ERROR_TIMEOUT = 13,
    SLUICE_ERROR_INTERNAL = 14,
    SLUICE_ERROR_BAD_UTF8 = 15,
    SLUICE_ERROR_MESSAGE_TOO_BIG = 16,
    SLUICE_ERROR_WS_PROTOCOL = 17,
    SLUICE_ERROR_CONFLICT = 18,
    SLUICE_ERROR_HANDSHAKE = 19,
};

/* ERROR's second byte. */
enum sluice_severity {
    SLUICE_SEVERITY_INFO = 0,
    SLUICE_SEVERITY_CLIENT = 1, /* fatal to the client */
    SLUICE_SEVERITY_LINK = 2,   /* fatal to the link */
};

/* Why a client ended: CLOSED, section 7. */
enum sluice_cause {
    SLUICE_CAUSE_CLIENT_CLOSE = 0,
    SLUICE_CAUSE_BACKEND_CLOSE = 1,
    SLUICE_CAUSE_TERMINATE = 2,
    SLUICE_CAUSE_EOF = 3,
    SLUICE_CAUSE_SOCKET_ERROR = 4,
    SLUICE_CAUSE_IDLE = 5,
    SLUICE_CAUSE_PING_TIMEOUT = 6,
    SLUICE_CAUSE_PROTOCOL_ERROR = 7,
    SLUICE_CAUSE_TOO_BIG = 8,
    SLUICE_CAUSE_BAD_UTF8 = 9,
    SLUICE_CAUSE_SLOW_CLIENT = 10,
    SLUICE_CAUSE_BACKEND_LOST = 11,
    SLUICE_CAUSE_SHUTDOWN = 12,
    SLUICE_CAUSE_REJECTED = 13,
    SLUICE_CAUSE_ACCEPT_TIMEOUT = 14,
    SLUICE_CAUSE_LIMIT = 15,
    SLUICE_CAUSE_MOVED = 16,
    SLUICE_CAUSE_LEFT_EARLY = 17, /* client left before ACCEPT */
};

enum sluice_closed_flag {
    SLUICE_CLOSED_CLEAN = 0x01,
    SLUICE_CLOSED_BY_BACKEND = 0x02,
};

/* GOAWAY's aux. */
enum sluice_goaway_mode {
    SLUICE_GOAWAY_DRAIN = 0,
    SLUICE_GOAWAY_HANDOVER = 1,
    SLUICE_GOAWAY_FATAL = 2,
};

/* OPEN's oflags, section 7. */
enum sluice_open_flag {
    SLUICE_OPEN_TLS = 0x01,
    SLUICE_OPEN_ALREADY_OPEN = 0x02, /* 101 was sent without asking */
    SLUICE_OPEN_BINARY_OK = 0x04,
    SLUICE_OPEN_DEFLATE = 0x08,
    SLUICE_OPEN_TRUSTED_ADDRESS = 0x10, /* from a trusted proxy */
};

/* RESUME_INFO's rflags, section 10. */
enum sluice_resume_flag {
    SLUICE_RESUME_FOREIGN = 0x01,
    SLUICE_RESUME_TRUNCATED = 0x02,
    SLUICE_RESUME_DEAD = 0x04,
};

enum {
    SLUICE_ACCEPT_TUNNEL = 0x01,      /* ACCEPT, aux */
    SLUICE_REJECT_PASS = 0x01,        /* REJECT, rflags: to the next app */
    SLUICE_BROADCAST_OWN_ONLY = 0x02, /* BROADCAST, opts */
};

/* TLV tags, section 4; a star in the comment: may repeat. */
enum sluice_tag {
    SLUICE_TAG_NAME = 0x01,
    SLUICE_TAG_AGENT = 0x02,
    SLUICE_TAG_TOKEN = 0x03,
    SLUICE_TAG_POOL = 0x04,
    SLUICE_TAG_PID = 0x05,       /* u32 */
    SLUICE_TAG_RESUME_OF = 0x06, /* u64 * */
    SLUICE_TAG_HOSTNAME = 0x08,
    SLUICE_TAG_HEADER = 0x10, /* name_len u16, name, value * */
    SLUICE_TAG_METHOD = 0x11,
    SLUICE_TAG_TARGET = 0x12,
    SLUICE_TAG_PATH = 0x13,
    SLUICE_TAG_LOCATION = 0x14,
    SLUICE_TAG_REMOTE_ADDR = 0x15,
    SLUICE_TAG_LOCAL_ADDR = 0x16,
    SLUICE_TAG_TLS = 0x17,         /* TLVs of enum sluice_tls_tag */
    SLUICE_TAG_CAPTURE = 0x18,     /* name_len u8, name, value * */
    SLUICE_TAG_SUBPROTOCOL = 0x19, /* * */
    SLUICE_TAG_EXTENSION = 0x1a,
    SLUICE_TAG_ORIGIN = 0x1b,
    SLUICE_TAG_APP = 0x1c,
    SLUICE_TAG_ROUTE = 0x1d,
    SLUICE_TAG_REQUEST_ID = 0x1e, /* 16 bytes */
    SLUICE_TAG_STATE = 0x1f,
    SLUICE_TAG_CHANNEL = 0x20, /* * */
    SLUICE_TAG_BODY = 0x21,
    SLUICE_TAG_REASON = 0x22,
    SLUICE_TAG_OPT = 0x23,            /* id u16, value * */
    SLUICE_TAG_RESUME_INFO = 0x24,    /* four u32 */
    SLUICE_TAG_VAR = 0x25,            /* name_len u8, name, value * */
    SLUICE_TAG_HOST_PATTERN = 0x26,   /* kind u8, text */
    SLUICE_TAG_PATH_PATTERN = 0x27,   /* kind u8, text * */
    SLUICE_TAG_ORIGIN_PATTERN = 0x28, /* kind u8, text * */
    SLUICE_TAG_MAX_CLIENTS = 0x29,    /* u32 */
    SLUICE_TAG_KEY = 0x2c,
    SLUICE_TAG_REMOTE_PORT = 0x2d, /* u16 */
    SLUICE_TAG_LOCAL_PORT = 0x2e,  /* u16 */
};

/* Inside SLUICE_TAG_TLS. */
enum sluice_tls_tag {
    SLUICE_TLS_VERSION = 0x01, /* u16 */
    SLUICE_TLS_CIPHER = 0x02,  /* u16 */
    SLUICE_TLS_SNI = 0x03,
    SLUICE_TLS_ALPN = 0x04,
    SLUICE_TLS_VERIFY_ERROR = 0x05,
    SLUICE_TLS_CLIENT_DN = 0x06,
    SLUICE_TLS_CLIENT_CERT = 0x07, /* * */
    SLUICE_TLS_SERVER_CERT = 0x08,
};

/* OPT ids; the comment is the size of the value. */
enum sluice_option {
    SLUICE_OPT_NODELAY = 1,           /* u8 */
    SLUICE_OPT_IDLE_TIMEOUT_MS = 2,   /* u32 */
    SLUICE_OPT_AUTO_PONG = 3,         /* u8 */
    SLUICE_OPT_MAX_MESSAGE = 4,       /* u32 */
    SLUICE_OPT_EVENT_MASK = 5,        /* u32, enum sluice_event */
    SLUICE_OPT_ON_LOSS = 6,           /* u8 */
    SLUICE_OPT_PING_INTERVAL_MS = 7,  /* u32 */
    SLUICE_OPT_SEND_BUFFER = 8,       /* u32 */
    SLUICE_OPT_CLOSE_TIMEOUT_MS = 9,  /* u32 */
    SLUICE_OPT_STREAM_THRESHOLD = 10, /* u32 */
    SLUICE_OPT_ACK_MODE = 11,         /* u8 */
    SLUICE_OPT_DEBUG = 12,            /* u8 */
    SLUICE_OPT_VERSIONS = 13,         /* u32 mask */
};

/* Bits of EVENT_MASK: what the gateway tells beyond the necessary. */
enum sluice_event {
    SLUICE_EVENT_PING = 1 << 0,
    SLUICE_EVENT_PONG = 1 << 1,
    SLUICE_EVENT_STATE = 1 << 2,
    SLUICE_EVENT_CLOSING = 1 << 3,
    SLUICE_EVENT_FRAGMENTS = 1 << 4,
    SLUICE_EVENT_CONN = 1 << 5,
    SLUICE_EVENT_CLIENT_ERROR = 1 << 6,
    SLUICE_EVENT_HTTP_DONE = 1 << 7,
    SLUICE_EVENT_OPENED = 1 << 8, /* on by default */
    SLUICE_EVENT_WIRE = 1 << 9,   /* aux carries the wire delta */
};

/* First byte of the pattern TLVs. */
enum sluice_pattern_kind {
    SLUICE_PATTERN_EXACT = 0,
    SLUICE_PATTERN_PREFIX = 1,
    SLUICE_PATTERN_SUFFIX = 2,
    SLUICE_PATTERN_REGEX = 3,
    SLUICE_PATTERN_ANY = 4,
    SLUICE_PATTERN_NONE = 5,
};

/* For logs: "flow control", "backend lost"; "unknown" for other numbers. */
const char *sluice_error_name(unsigned code);
const char *sluice_cause_name(unsigned cause);

#endif
