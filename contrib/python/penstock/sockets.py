# SPDX-License-Identifier: BSD-2-Clause
"""Where a backend listens."""

import errno
import os
import socket
import stat


def listen(path):
    """Mode 0660.  A socket that is left over is replaced, one on which
    somebody answers is not."""
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)  # nobody connects between bind and chmod
    try:
        sock.bind(path)
    except OSError as e:
        sock.close()
        raise OSError(e.errno, os.strerror(e.errno or 0), path) from None
    finally:
        os.umask(before)
    sock.listen(1024)
    return sock


class Made:
    """The file of a socket that we made, until it is ours no more."""

    def __init__(self, path):
        self.path, self.stat = path, os.lstat(path)

    def remove(self):
        try:
            if os.path.samestat(os.lstat(self.path), self.stat):
                os.unlink(self.path)
        except FileNotFoundError:
            pass


def predecessors():
    """PENSTOCK_RESUME_OF: boot ids, in decimal or 0x hexadecimal."""
    found = []
    for word in os.environ.get("PENSTOCK_RESUME_OF", "").split(","):
        try:
            found.append(int(word.strip(), 0) & (1 << 64) - 1)
        except ValueError:
            break
    return found[:16]


def inherited_count():
    """Of LISTEN_FDS."""
    pid = os.environ.get("LISTEN_PID", str(os.getpid()))
    count = os.environ.get("LISTEN_FDS", "0")
    if pid != str(os.getpid()) or not count.isdigit():
        return 0
    return min(int(count), 64)


def inherited(fd):
    try:
        sock = socket.socket(fileno=fd)
        listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        raise OSError(errno.ENOTCONN, "no socket to listen on: name a path, "
                      "or set PENSTOCK_SOCKET, or start it by spawn") from None
    if not listening or sock.family != socket.AF_UNIX:
        sock.detach()
        raise OSError(errno.EINVAL, f"descriptor {fd} is no listening Unix "
                      "socket")
    os.set_inheritable(fd, False)
    return sock


def _remove_stale(path):
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST),
                                  path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
