/* SPDX-License-Identifier: Apache-2.0 */
/* The test is the monitor: it holds the other end of the connection, and the standard streams of the client's process. */
#include "unit.h"

#include "cli/attach.h"
#include "monitor/protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

struct client {
        pid_t pid;
        int monitor;      /* our end of ATTACH */
        int in, out, err; /* our ends of its streams */
};

struct client_setup {
        bool stdin_open, terminal, proxy;
        int tty; /* slave that becomes its stdin; -1: a pipe */
};

static int proxied_fd;

static int proxy(int sig, void *arg)
{
        char c = (char)sig;

        return write(proxied_fd, &c, 1) == 1 ? 0 : -EIO;
}

/* The client's exit code tells how its session ended. */
static int client_main(int fd, const struct client_setup *setup)
{
        struct attach_opts o = {.fd = fd,
                                .forward_stdin = setup->stdin_open,
                                .forward_stdout = true,
                                .forward_stderr = true,
                                .terminal = setup->terminal,
                                .proxy = setup->proxy ? proxy : NULL};
        struct attach_result end;

        if (attach_run(&o, &end, NULL) < 0)
                return 99;
        return end.end == ATTACH_END_SIGNAL ? 100 + end.signal : (int)end.end;
}

static struct client start(const struct client_setup *setup)
{
        int attach[2], in[2], out[2], err[2];
        struct client c;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, attach), 0);
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        assert_int_equal(pipe2(err, O_CLOEXEC), 0);
        c.pid = fork();
        if (c.pid == 0) {
                signal(SIGPIPE, SIG_IGN);
                proxied_fd = fcntl(err[1], F_DUPFD_CLOEXEC, 3);
                dup3(setup->tty >= 0 ? setup->tty : in[0], 0, 0);
                dup3(out[1], 1, 0);
                dup3(err[1], 2, 0);
                close(in[1]);
                close(out[0]);
                close(out[1]);
                close(attach[0]);
                _exit(client_main(attach[1], setup));
        }
        close(attach[1]);
        close(in[0]);
        close(out[1]);
        close(err[1]);
        c.monitor = attach[0];
        c.in = in[1];
        c.out = out[0];
        c.err = err[0];
        return c;
}

/* Reaps a client that ends by itself: our end stays open until then, since its closing is an end, too. */
static int finish(struct client *c)
{
        int status;

        assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
        if (c->monitor >= 0)
                close(c->monitor);
        if (c->in >= 0)
                close(c->in);
        if (c->out >= 0)
                close(c->out);
        close(c->err);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void send_frame(int fd, uint8_t type, const void *data, size_t n)
{
        struct attach_frame h = {.type = type, .len = htonl((uint32_t)n)};

        assert_int_equal(send(fd, &h, sizeof(h), MSG_NOSIGNAL), sizeof(h));
        if (n)
                assert_int_equal(send(fd, data, n, MSG_NOSIGNAL), n);
}

/* Waits at most ten seconds: a hang is a failure, not a hang of the test. */
static size_t read_full(int fd, void *buf, size_t n)
{
        size_t have = 0;

        while (have < n) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t r;

                if (poll(&p, 1, 10000) <= 0)
                        fail_msg("nothing came after %zu of %zu bytes", have, n);
                r = read(fd, (char *)buf + have, n - have);
                if (r <= 0)
                        break;
                have += (size_t)r;
        }
        return have;
}

static struct attach_frame read_frame(int fd, char *buf, size_t size)
{
        struct attach_frame h;

        assert_int_equal(read_full(fd, &h, sizeof(h)), sizeof(h));
        h.len = ntohl(h.len);
        assert_true(h.len <= size);
        assert_int_equal(read_full(fd, buf, h.len), h.len);
        return h;
}

static void test_output_goes_where_it_belongs(void **state)
{
        struct client c = start(&(struct client_setup){.tty = -1});
        char buf[16];

        send_frame(c.monitor, ATTACH_STDOUT, "out", 3);
        send_frame(c.monitor, ATTACH_STDERR, "err", 3);
        send_frame(c.monitor, ATTACH_STDOUT, "", 0);
        send_frame(c.monitor, 77, "unknown", 7); /* of a newer monitor: skipped */
        send_frame(c.monitor, ATTACH_STDOUT, "end", 3);
        assert_int_equal(read_full(c.out, buf, 6), 6);
        assert_memory_equal(buf, "outend", 6);
        assert_int_equal(read_full(c.err, buf, 3), 3);
        assert_memory_equal(buf, "err", 3);
        close(c.monitor);
        c.monitor = -1;
        assert_int_equal(finish(&c), ATTACH_END_OUTPUT);
}

/* More than every buffer on the way, read slowly: all arrives, in order, also what came right before the end. */
static void test_slow_reader_gets_all(void **state)
{
        static char block[ATTACH_FRAME_MAX];
        struct client c = start(&(struct client_setup){.tty = -1});
        pid_t writer = fork();
        size_t total = 0;
        char buf[5000];
        ssize_t n;

        if (writer == 0) {
                for (int i = 0; i < 40; i++) {
                        memset(block, 'a' + i % 26, sizeof(block));
                        send_frame(c.monitor, ATTACH_STDOUT, block, sizeof(block));
                }
                _exit(0);
        }
        close(c.monitor);
        c.monitor = -1;
        while ((n = read(c.out, buf, sizeof(buf))) > 0) {
                for (ssize_t i = 0; i < n; i++, total++)
                        assert_int_equal(buf[i], 'a' + total / sizeof(block) % 26);
        }
        assert_int_equal(total, 40 * sizeof(block));
        assert_int_equal(waitpid(writer, NULL, 0), writer);
        assert_int_equal(finish(&c), ATTACH_END_OUTPUT);
}

static void test_input_arrives_whole_with_its_end(void **state)
{
        static char sent[300000], got[300000], buf[ATTACH_FRAME_MAX];
        struct client c = start(&(struct client_setup){.stdin_open = true, .tty = -1});
        pid_t writer;
        size_t have = 0;
        struct attach_frame h;

        for (size_t i = 0; i < sizeof(sent); i++)
                sent[i] = (char)(i * 7 + i / 251);
        writer = fork();
        if (writer == 0) {
                for (size_t at = 0; at < sizeof(sent);) {
                        ssize_t n = write(c.in, sent + at, sizeof(sent) - at);

                        if (n <= 0)
                                _exit(1);
                        at += (size_t)n;
                }
                _exit(0);
        }
        close(c.in);
        c.in = -1;
        while ((h = read_frame(c.monitor, buf, sizeof(buf))).type == ATTACH_STDIN) {
                assert_true(have + h.len <= sizeof(got));
                memcpy(got + have, buf, h.len);
                have += h.len;
        }
        assert_int_equal(h.type, ATTACH_STDIN_EOF);
        assert_int_equal(have, sizeof(sent));
        assert_memory_equal(sent, got, have);
        assert_int_equal(waitpid(writer, NULL, 0), writer);
        close(c.monitor);
        c.monitor = -1;
        assert_int_equal(finish(&c), ATTACH_END_OUTPUT);
}

/* A file cannot be polled; its bytes and its end arrive all the same. */
static void test_input_from_a_file(void **state)
{
        char buf[64];
        struct attach_frame h;
        struct client c;
        int file;

        unit_write(unit_dir(state), "in", "from a file");
        file = openat(unit_dir(state), "in", O_RDONLY | O_CLOEXEC);
        c = start(&(struct client_setup){.stdin_open = true, .tty = file});
        h = read_frame(c.monitor, buf, sizeof(buf));
        assert_int_equal(h.type, ATTACH_STDIN);
        assert_int_equal(h.len, 11);
        h = read_frame(c.monitor, buf, sizeof(buf));
        assert_int_equal(h.type, ATTACH_STDIN_EOF);
        close(file);
        close(c.monitor);
        c.monitor = -1;
        assert_int_equal(finish(&c), ATTACH_END_OUTPUT);
}

/* Processor time of the client in clock ticks. */
static unsigned long ticks(pid_t pid)
{
        unsigned long user = 0, system = 0;
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                &user, &system),
                         2);
        fclose(f);
        return user + system;
}

/* Everything is stuck: a full output, a monitor that reads nothing, an input that ended. Waiting must cost nothing. */
static void test_no_busy_waiting(void **state)
{
        static char block[ATTACH_FRAME_MAX];
        struct client c = start(&(struct client_setup){.stdin_open = true, .tty = -1});
        unsigned long before;

        assert_true(fcntl(c.in, F_SETFL, O_NONBLOCK) == 0 &&
                    fcntl(c.monitor, F_SETFL, O_NONBLOCK) == 0);
        for (int idle = 0; idle < 5; idle++) { /* until the queues are full for good */
                while (write(c.in, block, sizeof(block)) > 0)
                        idle = 0;
                (void)poll(NULL, 0, 10);
        }
        fcntl(c.monitor, F_SETFL, 0);
        for (int i = 0; i < 3; i++)
                send_frame(c.monitor, ATTACH_STDOUT, block, 60000);
        close(c.in);
        c.in = -1;
        (void)poll(NULL, 0, 100);
        before = ticks(c.pid);
        (void)poll(NULL, 0, 500);
        assert_true(ticks(c.pid) - before <= 5);
        kill(c.pid, SIGTERM);
        assert_int_equal(finish(&c), 100 + SIGTERM);
}

static void test_reader_goes_away(void **state)
{
        struct client c = start(&(struct client_setup){.tty = -1});

        close(c.out);
        c.out = -1;
        send_frame(c.monitor, ATTACH_STDOUT, "x", 1);
        assert_int_equal(finish(&c), ATTACH_END_PIPE);
}

static void test_signals_are_passed_on(void **state)
{
        struct client c = start(&(struct client_setup){.proxy = true, .tty = -1});
        static const int sent[] = {SIGUSR1, SIGTERM, SIGALRM, SIGHUP, SIGINT};
        char sig, c1;

        /* It answers: its signals are in order. */
        send_frame(c.monitor, ATTACH_STDOUT, "x", 1);
        assert_int_equal(read_full(c.out, &c1, 1), 1);
        for (size_t i = 0; i < ARRAY_SIZE(sent) - 1; i++) {
                kill(c.pid, sent[i]);
                assert_int_equal(read_full(c.err, &sig, 1), 1);
                assert_int_equal(sig, sent[i]);
        }
        kill(c.pid, SIGINT); /* the third of those that ask for the end: the user insists */
        assert_int_equal(finish(&c), 100 + SIGINT);
}

static void test_signal_ends_without_proxy(void **state)
{
        struct client c = start(&(struct client_setup){.tty = -1});
        char byte;

        send_frame(c.monitor, ATTACH_STDOUT, "x", 1);
        assert_int_equal(read_full(c.out, &byte, 1), 1);
        kill(c.pid, SIGTERM);
        assert_int_equal(finish(&c), 100 + SIGTERM);
}

static void test_too_long_a_frame(void **state)
{
        struct client c = start(&(struct client_setup){.tty = -1});
        struct attach_frame h = {.type = ATTACH_STDOUT, .len = htonl(ATTACH_FRAME_MAX + 1)};

        assert_int_equal(send(c.monitor, &h, sizeof(h), MSG_NOSIGNAL), sizeof(h));
        assert_int_equal(finish(&c), 99);
}

static void test_terminal(void **state)
{
        struct winsize w = {.ws_row = 40, .ws_col = 100};
        struct termios t;
        struct attach_size size;
        struct attach_frame h;
        struct client c;
        char buf[64];
        int master, slave;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, &w), 0);
        c = start(&(struct client_setup){
            .stdin_open = true, .terminal = true, .proxy = true, .tty = slave});
        h = read_frame(c.monitor, (char *)&size, sizeof(size)); /* the size as it is now */
        assert_int_equal(h.type, ATTACH_RESIZE);
        assert_int_equal(ntohs(size.rows), 40);
        assert_int_equal(ntohs(size.cols), 100);
        assert_int_equal(tcgetattr(slave, &t), 0);
        assert_false(t.c_lflag & (ICANON | ECHO | ISIG));

        w.ws_row = 50;
        assert_int_equal(ioctl(master, TIOCSWINSZ, &w), 0);
        kill(c.pid, SIGWINCH);
        h = read_frame(c.monitor, (char *)&size, sizeof(size));
        assert_int_equal(h.type, ATTACH_RESIZE);
        assert_int_equal(ntohs(size.rows), 50);

        /* ctrl-C and ctrl-Z are input in raw mode; ctrl-P alone is held back, then goes with what follows. */
        assert_int_equal(write(master, "\x03\x1a", 2), 2);
        h = read_frame(c.monitor, buf, sizeof(buf));
        assert_memory_equal(buf, "\x03\x1a", 2);
        assert_int_equal(write(master, "\x10", 1), 1);
        assert_int_equal(write(master, "a", 1), 1);
        h = read_frame(c.monitor, buf, sizeof(buf));
        assert_int_equal(h.len, 2);
        assert_memory_equal(buf,
                            "\x10"
                            "a",
                            2);
        assert_int_equal(write(master, "\x10\x11", 2), 2);
        assert_int_equal(finish(&c), ATTACH_END_DETACHED);
        assert_int_equal(tcgetattr(slave, &t), 0);
        assert_true((t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
        close(master);
        close(slave);
}

static void test_detached_by_the_monitor(void **state)
{
        struct client c = start(&(struct client_setup){.tty = -1});

        send_frame(c.monitor, ATTACH_DETACHED, NULL, 0);
        assert_int_equal(finish(&c), ATTACH_END_DETACHED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_output_goes_where_it_belongs),
            cmocka_unit_test(test_slow_reader_gets_all),
            cmocka_unit_test(test_input_arrives_whole_with_its_end),
            unit_test_dir(test_input_from_a_file),
            cmocka_unit_test(test_no_busy_waiting),
            cmocka_unit_test(test_reader_goes_away),
            cmocka_unit_test(test_signals_are_passed_on),
            cmocka_unit_test(test_signal_ends_without_proxy),
            cmocka_unit_test(test_too_long_a_frame),
            cmocka_unit_test(test_terminal),
            cmocka_unit_test(test_detached_by_the_monitor),
        };

        (void)alarm(50); /* no hang whatever happens */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
