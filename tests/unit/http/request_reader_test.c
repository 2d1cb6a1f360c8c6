/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/http/play.h"

struct row {
    const char *why;
    const char *input;
    const char *expected;
};

/* An input that ends in nothing but an error. */
struct bad {
    const char *why;
    const char *input;
};

static void play(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        transcript_play(&transcript_limits, false, rows[i].why,
                        str_c(rows[i].input), rows[i].expected);
}

static void refuse(const char *code, const struct bad *rows, size_t n)
{
    char expected[64];
    snprintf(expected, sizeof expected, "ERROR -%s\nFINISH -%s\n", code, code);
    for (size_t i = 0; i < n; i++)
        transcript_play(&transcript_limits, false, rows[i].why,
                        str_c(rows[i].input), expected);
}

#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H
#define POST "POST / HTTP/1.1\r\n" H
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static void reads_heads(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the simplest", GET "\r\n",
         "GET / HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"HTTP/1.0 without fields", "GET /x?y HTTP/1.0\r\n\r\n",
         "GET /x?y HTTP/1.0 @ none close {}\nEND\nFINISH 0\n"},
        {"HTTP/1.0 kept alive",
         "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         "GET / HTTP/1.0 @ none keep {Connection: Keep-Alive}\nEND\n"
         "FINISH 0\n"},
        {"close among others", GET "Connection: foo, Close\r\n\r\n",
         "GET / HTTP/1.1 @a none close {Host: a; Connection: foo, Close}\n"
         "END\nFINISH 0\n"},
        {"blanks around values, empty values",
         GET "A: \t b c \t\r\nB:\r\nC:   \r\nD:d\r\n\r\n",
         "GET / HTTP/1.1 @a none keep {Host: a; A: b c; B: ; C: ; D: d}\n"
         "END\nFINISH 0\n"},
        {"8-bit bytes in target and value",
         "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n",
         "GET /\xc3\xa4 HTTP/1.1 @a none keep {Host: a; X: \xff}\nEND\n"
         "FINISH 0\n"},
        {"an extension method", "M-SEARCH_X / HTTP/1.1\r\n" H "\r\n",
         "M-SEARCH_X / HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"empty lines in front", "\r\n\r\n\r\n\r\n" GET "\r\n",
         "GET / HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"an invalid name is left out", GET "X.Y: 1\r\nX_Y: 2\r\nZ: 3\r\n\r\n",
         "GET / HTTP/1.1 @a none keep {Host: a; Z: 3}\nEND\nFINISH 0\n"},
        {"absolute-form", "GET hTTp://b:81/p?q HTTP/1.1\r\n" H "\r\n",
         "GET /p?q HTTP/1.1 @b:81 none keep {Host: a}\nEND\nFINISH 0\n"},
        {"absolute-form without a path", "GET https://b HTTP/1.1\r\n" H "\r\n",
         "GET / HTTP/1.1 @b none keep {Host: a}\nEND\nFINISH 0\n"},
        {"absolute-form with a query alone",
         "GET http://b?c HTTP/1.1\r\n" H "\r\n",
         "GET /?c HTTP/1.1 @b none keep {Host: a}\nEND\nFINISH 0\n"},
        {"asterisk-form", "OPTIONS * HTTP/1.1\r\n" H "\r\n",
         "OPTIONS * HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"OPTIONS of a whole server", "OPTIONS http://b HTTP/1.1\r\n" H "\r\n",
         "OPTIONS * HTTP/1.1 @b none keep {Host: a}\nEND\nFINISH 0\n"},
        {"authority-form", "CONNECT b:443 HTTP/1.1\r\n" H "\r\n" GET "\r\n",
         "CONNECT  HTTP/1.1 @b:443 none keep {Host: a}\nEND\n"
         "GET / HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
         "GET / HTTP/1.1 @[::1]:8080 none keep {Host: [::1]:8080}\nEND\n"
         "FINISH 0\n"},
        {"cut off in the head", "GET / HT", "FINISH -400\n"},
        {"cut off in a field", GET "X: y", "FINISH -400\n"},
        {"empty lines only", "\r\n\r\n", "FINISH 0\n"},
    };
    play(rows, COUNT(rows));
}

static void reads_bodies(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"length", POST "Content-Length: 5\r\n\r\nhello",
         "POST / HTTP/1.1 @a length=5 keep {Host: a; Content-Length: 5}\n"
         "BODY(hello)\nEND\nFINISH 0\n"},
        {"length 0", POST "Content-Length: 00\r\n\r\n",
         "POST / HTTP/1.1 @a length=0 keep {Host: a; Content-Length: 00}\n"
         "END\nFINISH 0\n"},
        {"the largest length",
         POST "Content-Length: 9223372036854775807\r\n\r\nx",
         "POST / HTTP/1.1 @a length=9223372036854775807 keep {Host: a; "
         "Content-Length: 9223372036854775807}\nBODY(x)\nFINISH -400\n"},
        {"a GET with a body", GET "Content-Length: 1 \r\n\r\nxGET",
         "GET / HTTP/1.1 @a length=1 keep {Host: a; Content-Length: 1}\n"
         "BODY(x)\nEND\nFINISH -400\n"},
        {"chunked", CHUNKED "5\r\nhello\r\n00A;x=y\r\n0123456789\r\n0\r\n\r\n",
         "POST / HTTP/1.1 @a chunked keep {Host: a; Transfer-Encoding: "
         "chunked}\nBODY(hello0123456789)\nEND\nFINISH 0\n"},
        {"chunked in capitals",
         POST "transfer-encoding:CHUNKED \r\n\r\n0\r\n\r\n" GET "\r\n",
         "POST / HTTP/1.1 @a chunked keep {Host: a; transfer-encoding: "
         "CHUNKED}\nEND\nGET / HTTP/1.1 @a none keep {Host: a}\nEND\n"
         "FINISH 0\n"},
        {"trailers apart, dangerous ones dropped, none acted on",
         CHUNKED "1\r\nx\r\n0\r\nX: y\r\nContent-Length: 3\r\nHost: evil\r\n"
                 "Connection: close, upgrade\r\nUpgrade: x\r\n"
                 "Z: \r\n\r\n" GET "\r\n",
         "POST / HTTP/1.1 @a chunked keep {Host: a; Transfer-Encoding: "
         "chunked}\nBODY(x)\nTRAILERS {X: y; Z: }\nEND\n"
         "GET / HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"only dropped trailers", CHUNKED "0\r\nHost: evil\r\n\r\n",
         "POST / HTTP/1.1 @a chunked keep {Host: a; Transfer-Encoding: "
         "chunked}\nEND\nFINISH 0\n"},
        {"cut off in the length", POST "Content-Length: 5\r\n\r\nhell",
         "POST / HTTP/1.1 @a length=5 keep {Host: a; Content-Length: 5}\n"
         "BODY(hell)\nFINISH -400\n"},
        {"cut off before the last chunk", CHUNKED "1\r\nx\r\n",
         "POST / HTTP/1.1 @a chunked keep {Host: a; Transfer-Encoding: "
         "chunked}\nBODY(x)\nFINISH -400\n"},
        {"cut off in the trailers", CHUNKED "0\r\nX: y\r\n",
         "POST / HTTP/1.1 @a chunked keep {Host: a; Transfer-Encoding: "
         "chunked}\nFINISH -400\n"},
        {"a CONNECT has the body its fields say",
         "CONNECT b:1 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi" GET "\r\n",
         "CONNECT  HTTP/1.1 @b:1 length=2 keep {Host: a; Content-Length: 2}\n"
         "BODY(hi)\nEND\nGET / HTTP/1.1 @a none keep {Host: a}\nEND\n"
         "FINISH 0\n"},
        {"so has an upgrade",
         POST "Connection: x, Upgrade\r\nUpgrade: h2c\r\n"
              "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" GET
              "\r\n",
         "POST / HTTP/1.1 @a chunked keep upgrade {Host: a; Connection: x, "
         "Upgrade; Upgrade: h2c; Transfer-Encoding: chunked}\nBODY(hi)\nEND\n"
         "GET / HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"an upgrade that is ignored goes on as HTTP",
         GET "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" GET "\r\n",
         "GET / HTTP/1.1 @a none keep upgrade {Host: a; Connection: upgrade; "
         "Upgrade: websocket}\nEND\nGET / HTTP/1.1 @a none keep {Host: a}\n"
         "END\nFINISH 0\n"},
        {"upgrade means nothing in HTTP/1.0",
         "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
         "GET / HTTP/1.0 @ none close {Connection: upgrade; Upgrade: x}\nEND\n"
         "FINISH 0\n"},
        {"expectation",
         POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
         "POST / HTTP/1.1 @a length=1 keep expect {Host: a; Expect: "
         "100-Continue; Content-Length: 1}\nFINISH -400\n"},
        {"no expectation in HTTP/1.0",
         "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
         "POST / HTTP/1.0 @ length=1 close {Expect: 100-continue; "
         "Content-Length: 1}\nFINISH -400\n"},
        {"requests after Connection: close are still framed",
         GET "Connection: close\r\n\r\n" GET "\r\n",
         "GET / HTTP/1.1 @a none close {Host: a; Connection: close}\nEND\n"
         "GET / HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"pipelined",
         GET "\r\n" POST "Content-Length: 1\r\n\r\nx\r\n" GET "\r\n",
         "GET / HTTP/1.1 @a none keep {Host: a}\nEND\n"
         "POST / HTTP/1.1 @a length=1 keep {Host: a; Content-Length: 1}\n"
         "BODY(x)\nEND\nGET / HTTP/1.1 @a none keep {Host: a}\nEND\n"
         "FINISH 0\n"},
    };
    play(rows, COUNT(rows));
}

static void refuses_malformed_request_lines(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        {"lower-case method", "get / HTTP/1.1\r\n" H "\r\n"},
        {"no method", " / HTTP/1.1\r\n" H "\r\n"},
        {"a digit in the method", "G3T / HTTP/1.1\r\n" H "\r\n"},
        {"a tab for the space", "GET\t/ HTTP/1.1\r\n" H "\r\n"},
        {"two spaces", "GET  / HTTP/1.1\r\n" H "\r\n"},
        {"two spaces before the version", "GET /  HTTP/1.1\r\n" H "\r\n"},
        {"a space behind the version", "GET / HTTP/1.1 \r\n" H "\r\n"},
        {"a space in the target", "GET /a b HTTP/1.1\r\n" H "\r\n"},
        {"a control in the target", "GET /\x01 HTTP/1.1\r\n" H "\r\n"},
        {"DEL in the target", "GET /\x7f HTTP/1.1\r\n" H "\r\n"},
        {"a fragment", "GET /#x HTTP/1.1\r\n" H "\r\n"},
        {"HTTP/0.9", "GET /\r\n"},
        {"HTTP/0.9 with fields", "GET /\r\n" H "\r\n"},
        {"another protocol", "GET / RTSP/1.0\r\n" H "\r\n"},
        {"a lower-case protocol", "GET / http/1.1\r\n" H "\r\n"},
        {"a version that is none", "GET / HTTP/1x1\r\n" H "\r\n"},
        {"a longer version", "GET / HTTP/1.10\r\n" H "\r\n"},
        {"bare LF", "GET / HTTP/1.1\n" H "\r\n"},
        {"bare CR", "GET / HTTP/1.1\rX: y\r\n\r\n"},
        {"bare CR in the target", "GET /\r HTTP/1.1\r\n" H "\r\n"},
        {"LF in front", "\n" GET "\r\n"},
        {"CR alone in front", "\r" GET "\r\n"},
        {"five empty lines", "\r\n\r\n\r\n\r\n\r\n" GET "\r\n"},
        {"a space in front", " " GET "\r\n"},
        {"GET *", "GET * HTTP/1.1\r\n" H "\r\n"},
        {"no slash", "GET a HTTP/1.1\r\n" H "\r\n"},
        {"another scheme", "GET ftp://a/ HTTP/1.1\r\n" H "\r\n"},
        {"a scheme without slashes", "GET http:a HTTP/1.1\r\n" H "\r\n"},
        {"absolute without host", "GET http:/// HTTP/1.1\r\n" H "\r\n"},
        {"only a port", "GET http://:80/ HTTP/1.1\r\n" H "\r\n"},
        {"userinfo", "GET http://u@a/ HTTP/1.1\r\n" H "\r\n"},
        {"password", "GET http://u:p@a/ HTTP/1.1\r\n" H "\r\n"},
        {"CONNECT to a path", "CONNECT / HTTP/1.1\r\n" H "\r\n"},
        {"CONNECT without port", "CONNECT a HTTP/1.1\r\n" H "\r\n"},
        {"CONNECT with an empty port", "CONNECT a: HTTP/1.1\r\n" H "\r\n"},
        {"TLS", "\x16\x03\x01\x02"},
        {"absolute-form needs Host too", "GET http://a/ HTTP/1.1\r\n\r\n"},
    };
    refuse("400", bad, COUNT(bad));
    static const struct bad versions[] = {
        {"0.9", "GET / HTTP/0.9\r\n" H "\r\n"},
        {"1.2", "GET / HTTP/1.2\r\n" H "\r\n"},
        {"2.0", "GET / HTTP/2.0\r\n" H "\r\n"},
        {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    };
    refuse("505", versions, COUNT(versions));
}

static void refuses_malformed_fields(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        {"a space before the colon", GET "X : y\r\n\r\n"},
        {"a tab before the colon", GET "X\t: y\r\n\r\n"},
        {"a space in the name", GET "X Y: z\r\n\r\n"},
        {"an empty name", GET ": y\r\n\r\n"},
        {"no colon", GET "X\r\n\r\n"},
        {"a folded value", GET "X: y\r\n z\r\n\r\n"},
        {"folded with a tab", GET "X: y\r\n\tz\r\n\r\n"},
        {"an empty value folded", GET "X:\r\n z\r\n\r\n"},
        {"folded with blanks alone", GET "X: y\r\n \r\n\r\n"},
        {"a fold first", "GET / HTTP/1.1\r\n X: y\r\n" H "\r\n"},
        {"a folded Host", "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n"},
        {"a folded coding",
         POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
        {"a folded length", POST "Content-Length: 1\r\n 0\r\n\r\n"},
        {"bare LF behind a field", GET "X: y\nZ: z\r\n\r\n"},
        {"bare LF behind an empty value", GET "X:\nZ: z\r\n\r\n"},
        {"bare LF as the empty line", GET "\n"},
        {"bare LF before the empty line", GET "X: y\n\r\n"},
        {"two LF", GET "X: y\n\n"},
        {"bare CR in a value", GET "X: y\rZ: z\r\n\r\n"},
        {"CR CR LF", GET "X: y\r\r\n\r\n"},
        {"bare CR as the empty line", GET "\rX: y\r\n\r\n"},
        {"a control in a value", GET "X: a\x01\r\n\r\n"},
        {"a control in Connection", GET "Connection: a\x01, close\r\n\r\n"},
        {"a control in Upgrade", GET "Upgrade: \x1bx\r\n\r\n"},
        {"DEL in a value", GET "X: a\x7f\r\n\r\n"},
        {"8 bits in a name", GET "X\xff: y\r\n\r\n"},
        {"a quote in a name", GET "X\"Y: y\r\n\r\n"},
        {"a slash in a name", GET "X/Y: y\r\n\r\n"},
        {"brackets in a name", GET "X[Y]: y\r\n\r\n"},
        {"no Host", "GET / HTTP/1.1\r\n\r\n"},
        {"two hosts", GET "Host: b\r\n\r\n"},
        {"the same host twice", GET "host: a\r\n\r\n"},
        {"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" H H "\r\n"},
        {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
        {"a Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
        {"a Host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {"a list of hosts", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
        {"a Host with a bad port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"},
        {"a malformed Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: ?\r\n\r\n"},
        {"a malformed Host beside absolute-form",
         "GET http://b/ HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    };
    refuse("400", bad, COUNT(bad));
}

static void refuses_ambiguous_framing(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        {"length and coding",
         POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"coding and length",
         POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
        {"length and an unknown coding",
         POST "Content-Length: 1\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {"two lengths", POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"},
        {"the same length twice",
         POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
        {"a list of lengths", POST "Content-Length: 1, 1\r\n\r\n"},
        {"an empty length", POST "Content-Length:\r\n\r\n"},
        {"a sign", POST "Content-Length: +1\r\n\r\n"},
        {"minus", POST "Content-Length: -1\r\n\r\n"},
        {"hexadecimal", POST "Content-Length: 0x1\r\n\r\n"},
        {"a fraction", POST "Content-Length: 1.0\r\n\r\n"},
        {"digits apart", POST "Content-Length: 1 2\r\n\r\n"},
        {"2^63", POST "Content-Length: 9223372036854775808\r\n\r\n"},
        {"2^64", POST "Content-Length: 18446744073709551616\r\n\r\n"},
        {"2^64 - 1", POST "Content-Length: 18446744073709551615\r\n\r\n"},
        {"two codings",
         POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"},
        {"identity, then chunked", POST "Transfer-Encoding: identity\r\n"
                                        "Transfer-Encoding: chunked\r\n\r\n"},
        {"chunked, then nothing",
         POST "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n"},
        {"chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n\r\n"},
        {"chunked first", POST "Transfer-Encoding: chunked, gzip\r\n\r\n"},
        {"an empty coding", POST "Transfer-Encoding:\r\n\r\n"},
        {"a control before chunked", POST "Transfer-Encoding: \x0b"
                                          "chunked\r\n\r\n"},
        {"a coding in HTTP/1.0",
         "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    };
    refuse("400", bad, COUNT(bad));
    static const struct bad unknown[] = {
        {"gzip", POST "Transfer-Encoding: gzip\r\n\r\n"},
        {"identity", POST "Transfer-Encoding: identity\r\n\r\n"},
        {"gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
        {"a longer word", POST "Transfer-Encoding: chunkedx\r\n\r\n"},
        {"xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n"},
        {"a parameter", POST "Transfer-Encoding: chunked;a=b\r\n\r\n"},
    };
    refuse("501", unknown, COUNT(unknown));
}

static void refuses_malformed_chunks(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        {"no size", "\r\nhello\r\n0\r\n\r\n"},
        {"not hexadecimal", "g\r\n"},
        {"a sign", "+5\r\nhello\r\n0\r\n\r\n"},
        {"minus", "-5\r\nhello\r\n0\r\n\r\n"},
        {"0x", "0x5\r\nhello\r\n0\r\n\r\n"},
        {"a space in front", " 5\r\nhello\r\n0\r\n\r\n"},
        {"2^63", "8000000000000000\r\n"},
        {"2^64 - 1", "ffffffffffffffff\r\n"},
        {"2^64", "10000000000000000\r\n"},
        {"2^64 + 5", "10000000000000005\r\n"},
        {"LF behind the size", "5\nhello\r\n0\r\n\r\n"},
        {"CR behind the size", "5\rhello\r\n0\r\n\r\n"},
        {"LF behind an extension", "5;a\nhello\r\n0\r\n\r\n"},
        {"LF behind an extension's value", "5;a=b\nhello\r\n0\r\n\r\n"},
        {"LF in a quoted value", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"},
        {"CR in a quoted value", "5;a=\"\r\"\r\nhello\r\n0\r\n\r\n"},
        {"a control in an extension", "5;a\x01\r\nhello\r\n0\r\n\r\n"},
        {"LF behind the last size", "0\n\r\n"},
        {"LF as the end", "0\r\n\n"},
        {"CR as the end", "0\r\n\rX"},
        {"a folded trailer", "0\r\nX: y\r\n z\r\n\r\n"},
        {"LF behind a trailer", "0\r\nX: y\n\r\n"},
        {"a trailer without a name", "0\r\n: y\r\n\r\n"},
        {"a space before the colon", "0\r\nX : y\r\n\r\n"},
        {"a coding as a trailer", "0\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {"length and coding as trailers",
         "0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"a control in a trailer", "0\r\nX: \x01\r\n\r\n"},
    };
    static const char head[] = "POST / HTTP/1.1 @a chunked keep {Host: a; "
                               "Transfer-Encoding: chunked}\n";
    char input[256], expected[256];
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(input, sizeof input, CHUNKED "%s", bad[i].input);
        snprintf(expected, sizeof expected, "%sERROR -400\nFINISH -400\n",
                 head);
        transcript_play(&transcript_limits, false, bad[i].why, str_c(input),
                        expected);
    }
    static const struct bad after_data[] = {
        {"LF", "1\r\nx\n0\r\n\r\n"},
        {"nothing", "1\r\nx0\r\n\r\n"},
        {"two other bytes", "1\r\nxyz0\r\n\r\n"},
        {"CR alone", "1\r\nx\r0\r\n\r\n"},
        {"one byte too much", "1\r\nxx\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT(after_data); i++) {
        snprintf(input, sizeof input, CHUNKED "%s", after_data[i].input);
        snprintf(expected, sizeof expected,
                 "%sBODY(x)\nERROR -400\nFINISH -400\n", head);
        transcript_play(&transcript_limits, false, after_data[i].why,
                        str_c(input), expected);
    }
}

static void refuses_a_nul(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR_INIT("GET /\0 HTTP/1.1\r\n" H "\r\n"),
        STR_INIT(GET "X: a\0b\r\n\r\n"),
        STR_INIT(GET "X\0: b\r\n\r\n"),
        STR_INIT(GET "Connection: close\0\r\n\r\n"),
        STR_INIT("\0" GET "\r\n"),
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        transcript_play(&transcript_limits, false, "NUL", bad[i],
                        "ERROR -400\nFINISH -400\n");
}

static void keeps_or_refuses_odd_names_as_told(void **state)
{
    (void)state;
    struct http_limits limits = transcript_limits;
    limits.underscores_ok = true;
    transcript_play(
        &limits, false, "underscores_in_headers on",
        STR(GET "X_Y: 1\r\nX.Y: 2\r\n\r\n"),
        "GET / HTTP/1.1 @a none keep {Host: a; X_Y: 1}\nEND\nFINISH 0\n");
    limits.drop_invalid = false;
    transcript_play(&limits, false, "ignore_invalid_headers off",
                    STR(GET "X.Y: 2\r\n\r\n"), "ERROR -400\nFINISH -400\n");
    limits.underscores_ok = false;
    transcript_play(&limits, false, "both off", STR(GET "X_Y: 2\r\n\r\n"),
                    "ERROR -400\nFINISH -400\n");
}

static void holds_to_its_limits(void **state)
{
    (void)state;
    static const struct http_limits tight = {
        .line_max = 20, .field_max = 12, .head_max = 60, .fields_max = 3};
    static const struct row rows[] = {
        {"a line of just 20 bytes", "GET /2345 HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /2345 HTTP/1.1 @a none keep {Host: a}\nEND\nFINISH 0\n"},
        {"one of 21", "GET /23456 HTTP/1.1\r\nHost: a\r\n\r\n",
         "ERROR -414\nFINISH -414\n"},
        {"one that never ends", "GET /2345678901234567890",
         "ERROR -414\nFINISH -414\n"},
        {"a method that never ends", "GETGETGETGETGETGETGETGET",
         "ERROR -414\nFINISH -414\n"},
        {"a field of just 12 bytes", "GET / HTTP/1.1\r\nHost: abcd\r\n\r\n",
         "GET / HTTP/1.1 @abcd none keep {Host: abcd}\nEND\nFINISH 0\n"},
        {"one of 13", "GET / HTTP/1.1\r\nHost: abcde\r\n\r\n",
         "ERROR -494\nFINISH -494\n"},
        {"a value that never ends", "GET / HTTP/1.1\r\nHost: abcdefgh",
         "ERROR -494\nFINISH -494\n"},
        {"a name that never ends", "GET / HTTP/1.1\r\nHostHostHostHost",
         "ERROR -494\nFINISH -494\n"},
        {"blanks that never end",
         "GET / HTTP/1.1\r\nX:              ", "ERROR -494\nFINISH -494\n"},
        {"three fields", "GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\n\r\n",
         "GET / HTTP/1.1 @a none keep {Host: a; B: b; C: c}\nEND\n"
         "FINISH 0\n"},
        {"four", "GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\nD: d\r\n\r\n",
         "ERROR -494\nFINISH -494\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        transcript_play(&tight, false, rows[i].why, str_c(rows[i].input),
                        rows[i].expected);
}

static void holds_to_the_size_of_a_head(void **state)
{
    (void)state;
    struct http_limits limits = transcript_limits;
    struct str input = STR(GET "X: 123456\r\n\r\n");
    limits.head_max = input.n;
    transcript_play(
        &limits, false, "a head of just that size", input,
        "GET / HTTP/1.1 @a none keep {Host: a; X: 123456}\nEND\nFINISH 0\n");
    limits.head_max--;
    transcript_play(&limits, false, "one byte more", input,
                    "ERROR -494\nFINISH -494\n");
}

static void bounds_trailers_and_chunk_lines(void **state)
{
    (void)state;
    static const struct {
        const char *start;
        uint8_t then;
        const char *code;
    } rows[] = {
        {"1;", 'x', "400"},
        {"", '0', "400"},
        {"0\r\nX: ", 'x', "494"},
        {"0\r\nX", 'x', "494"},
    };
    struct buf input = {0};
    char expected[128];
    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_clear(&input);
        buf_printf(&input, CHUNKED "%s", rows[i].start);
        for (int k = 0; k < 20000; k++)
            buf_put_u8(&input, rows[i].then);
        snprintf(expected, sizeof expected,
                 "POST / HTTP/1.1 @a chunked keep {Host: a; "
                 "Transfer-Encoding: chunked}\nERROR -%s\nFINISH -%s\n",
                 rows[i].code, rows[i].code);
        transcript_play(&transcript_limits, false, rows[i].start,
                        buf_str(&input), expected);
    }
    buf_fini(&input);
}

/* A sum over many chunks counts as much as one long extension. */
static void adds_chunk_extensions_up(void **state)
{
    (void)state;
    struct buf input = {0};
    struct transcript t = {.limits = transcript_limits};
    buf_put_str(&input, STR(CHUNKED));
    for (int i = 0; i < 400; i++) {
        buf_put_str(&input, STR("1;"));
        for (int k = 0; k < 70; k++)
            buf_put_u8(&input, 'x');
        buf_put_str(&input, STR("\r\ny\r\n"));
    }
    transcript_begin(&t);
    struct span in = {input.p, input.n};
    assert_int_equal(transcript_feed(&t, &in), -400);
    assert_string_equal(http_reader_error(t.r),
                        "chunk extensions are too long");
    transcript_end(&t);
    buf_fini(&t.out);
    buf_fini(&input);
}

static void is_idle_only_between_messages(void **state)
{
    (void)state;
    struct http_limits limits = transcript_limits;
    struct http_reader *r = http_request_reader_create(&limits);
    struct http_event ev;
    uint8_t bytes[] = "\r\n" POST "Content-Length: 1\r\n\r\nx";
    struct span in = {bytes, 2};

    assert_int_equal(http_reader_next(r, &in, &ev), 0);
    assert_int_equal(in.n, 0);
    assert_true(http_reader_is_idle(r));
    in.n = 1;
    assert_int_equal(http_reader_next(r, &in, &ev), 0);
    assert_int_equal(in.n, 1);
    assert_false(http_reader_is_idle(r));
    in.n = sizeof bytes - 3;
    assert_int_equal(http_reader_next(r, &in, &ev), 1);
    assert_int_equal(ev.type, HTTP_EVENT_HEAD);
    assert_int_equal(http_reader_next(r, &in, &ev), 1);
    assert_ptr_equal(ev.data.p, bytes + sizeof bytes - 2);
    assert_false(http_reader_is_idle(r));
    assert_int_equal(http_reader_next(r, &in, &ev), 1);
    assert_int_equal(ev.type, HTTP_EVENT_END);
    assert_true(http_reader_is_idle(r));
    http_reader_destroy(r);
    http_reader_destroy(NULL);
}

static void starts_afresh_after_a_reset(void **state)
{
    (void)state;
    struct http_limits limits = transcript_limits;
    struct http_reader *r = http_request_reader_create(&limits);
    struct http_event ev;
    uint8_t half[] = GET "X: y\r\nZ: ", bad[] = "\x01", good[] = GET "\r\n";
    struct span in = {half, sizeof half - 1};

    assert_int_equal(http_reader_next(r, &in, &ev), 0);
    http_reader_reset(r, &limits);
    in = (struct span){bad, 1};
    assert_int_equal(http_reader_next(r, &in, &ev), -400);
    http_reader_reset(r, &limits);
    in = (struct span){good, sizeof good - 1};
    assert_int_equal(http_reader_next(r, &in, &ev), 1);
    assert_int_equal(ev.head->method, METHOD_GET);
    assert_int_equal(ev.head->size, sizeof good - 1);
    http_reader_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_heads),
        TEST(reads_bodies),
        TEST(refuses_malformed_request_lines),
        TEST(refuses_malformed_fields),
        TEST(refuses_ambiguous_framing),
        TEST(refuses_malformed_chunks),
        TEST(refuses_a_nul),
        TEST(keeps_or_refuses_odd_names_as_told),
        TEST(holds_to_its_limits),
        TEST(holds_to_the_size_of_a_head),
        TEST(bounds_trailers_and_chunk_lines),
        TEST(adds_chunk_extensions_up),
        TEST(is_idle_only_between_messages),
        TEST(starts_afresh_after_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
