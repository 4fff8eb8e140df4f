/* SPDX-License-Identifier: Apache-2.0 */
/* term — see term.h. */
#include "cli/term.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct term {
        int fd; /* borrowed */
        struct termios before, raw;
        int guard_pipe; /* our end; closing it without a word makes the guard restore */
        pid_t guard;
};

/* Without c_cflag: drivers adjust its bits, and nothing here depends on them. */
static bool same_modes(const struct termios *a, const struct termios *b)
{
        return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_lflag == b->c_lflag;
}

/* The guard. Setting the modes from a session that does not own the terminal is allowed and raises no SIGTTOU
 * (tty_check_change() in the kernel looks only at members of the terminal's session). */
static void NORETURN guard_main(const struct term *t, int pipe_fd)
{
        struct termios now;
        sigset_t all;
        char word;

        sigfillset(&all);
        (void)sigprocmask(SIG_BLOCK, &all, NULL);
        (void)setsid();
        /* Nothing else may stay open here: a pipe of the caller's would never see its end. */
        if (dup3(t->fd, 0, O_CLOEXEC) < 0 && t->fd != 0)
                _exit(1);
        if (pipe_fd != 1)
                (void)dup3(pipe_fd, 1, O_CLOEXEC);
        (void)sys_close_range(2, ~0U, 0);
        (void)io_write_full(1, "r", 1); /* from here on no signal of the terminal's reaches us */
        if (sys_read(1, &word, 1) == 0 && tcgetattr(0, &now) == 0 && same_modes(&now, &t->raw))
                (void)tcsetattr(0, TCSANOW, &t->before);
        _exit(0);
}

static int start_guard(struct term *t, struct err **reterr)
{
        AUTO_CLOSE int theirs = -EBADF, ours = -EBADF;
        char ready;
        int fds[2];
        int r = fd_socketpair(SOCK_STREAM, fds, reterr);

        if (r < 0)
                return r;
        theirs = fds[0];
        ours = fds[1];
        t->guard = fork();
        if (t->guard < 0)
                return err_sys(reterr, errno, "start the terminal's guard");
        if (t->guard == 0)
                guard_main(t, theirs);
        theirs = fd_close(theirs);
        r = io_read_full(ours, &ready, 1);
        if (r < 0)
                return err_sys(reterr, -r, "start the terminal's guard");
        t->guard_pipe = TAKE_FD(ours);
        return 0;
}

int term_raw(int fd, struct term **ret, struct err **reterr)
{
        AUTO(term_freep) struct term *t = xnew(struct term);
        int r;

        t->fd = fd;
        t->guard_pipe = -EBADF;
        if (tcgetattr(fd, &t->before) < 0)
                return err_sys(reterr, errno, "read the terminal's modes");
        t->raw = t->before;
        cfmakeraw(&t->raw);
        /* The guard first: from the change on there must be no instant in which a kill leaves the terminal raw. */
        r = start_guard(t, reterr);
        if (r < 0)
                return r;
        /* What was typed before we were ready is input for the container: TCSADRAIN keeps it, TCSAFLUSH would not. */
        if (tcsetattr(fd, TCSADRAIN, &t->raw) < 0)
                return err_sys(reterr, errno, "put the terminal into raw mode");
        *ret = TAKE_PTR(t);
        return 0;
}

void term_suspend(struct term *t)
{
        (void)tcsetattr(t->fd, TCSADRAIN, &t->before);
}

void term_resume(struct term *t)
{
        struct termios now;

        /* The shell may have changed what "before" means while we were stopped. */
        if (tcgetattr(t->fd, &now) == 0 && !same_modes(&now, &t->raw))
                (void)tcsetattr(t->fd, TCSADRAIN, &t->raw);
}

struct term *term_free(struct term *t)
{
        if (!t)
                return NULL;
        if (t->guard_pipe >= 0) {
                (void)tcsetattr(t->fd, TCSADRAIN, &t->before);
                (void)io_write_full(t->guard_pipe, "d", 1);
                t->guard_pipe = fd_close(t->guard_pipe);
                while (waitpid(t->guard, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        free(t);
        return NULL;
}

bool term_size(int fd, uint16_t *ret_rows, uint16_t *ret_cols)
{
        struct winsize w = {0};

        if (ioctl(fd, TIOCGWINSZ, &w) < 0 || w.ws_row == 0 || w.ws_col == 0)
                return false;
        *ret_rows = w.ws_row;
        *ret_cols = w.ws_col;
        return true;
}

/* ---- keys that detach ---------------------------------------------------------------------------- */

static bool parse_key(const char *s, unsigned char *ret)
{
        const char *c = s + strlen("ctrl-");

        if (strlen(s) == 1) {
                *ret = (unsigned char)*s;
                return true;
        }
        if (!str_starts(s, "ctrl-") || strlen(c) != 1)
                return false;
        if (*c >= 'a' && *c <= 'z')
                *ret = (unsigned char)(*c - 'a' + 1);
        else if (*c >= '@' && *c <= '_')
                *ret = (unsigned char)(*c - '@');
        else
                return false;
        return true;
}

int detach_keys_parse(const char *s, struct detach_keys *ret, struct err **reterr)
{
        AUTO_STRV parts = {0};
        int r;

        *ret = (struct detach_keys){0};
        if (!s)
                s = DETACH_KEYS_DEFAULT;
        if (!*s)
                return 0;
        strv_split(&parts, s, ',');
        if (parts.n > DETACH_KEYS_MAX)
                return err_new(reterr, ERR_USAGE, "detach keys '%s': more than %d keys", s,
                               DETACH_KEYS_MAX);
        for (size_t i = 0; i < parts.n; i++) {
                if (parse_key(parts.v[i], &ret->keys[ret->n++]))
                        continue;
                r = err_new(reterr, ERR_USAGE, "detach keys '%s': unknown key '%s'", s, parts.v[i]);
                return err_hint(reterr, r,
                                "keys are single characters or ctrl-a … ctrl-z, ctrl-@ [ \\ ] ^ _, "
                                "with commas between");
        }
        return 0;
}

/* How much of the sequence is matched when @c follows @k->matched matched keys; what no longer can be part of it goes to
 * @out. The held back bytes are always a prefix of the sequence, so its own text says what they are. */
static size_t advance(struct detach_keys *k, unsigned char c, unsigned char *out)
{
        size_t m = k->matched, n = 0;

        for (size_t drop = 0; drop <= m; drop++) {
                size_t keep = m - drop;

                if (memcmp(k->keys + drop, k->keys, keep) == 0 && k->keys[keep] == c) {
                        k->matched = keep + 1;
                        return n;
                }
                out[n++] = drop < m ? k->keys[drop] : c;
        }
        k->matched = 0;
        return n;
}

bool detach_keys_filter(struct detach_keys *k, const void *in, size_t n, void *out, size_t *ret_n)
{
        const unsigned char *from = in;
        unsigned char *to = out;
        size_t written = 0;

        for (size_t i = 0; i < n; i++) {
                if (k->n == 0) {
                        to[written++] = from[i];
                        continue;
                }
                written += advance(k, from[i], to + written);
                if (k->matched == k->n) {
                        k->matched = 0;
                        *ret_n = written;
                        return true;
                }
        }
        *ret_n = written;
        return false;
}
