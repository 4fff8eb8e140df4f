/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   produce() fills one chunk: it reads the source, hashes and tees what it read, decodes, hashes what came out. Without a thread,
 *   stream_peek() calls it when the chunk in hand is used up. With one, a ring of chunks lies between: the thread fills the
 *   chunk at `head`, the reader uses the one at `tail`; `filled` counts the chunks between. One mutex, one condition variable for
 *   each direction; a chunk is 256 KiB, so the lock is taken a few thousand times per gigabyte.
 *   A failure is a plain enum + errno in the stream. It is turned into words by the reader only: the thread makes no error object, and
 *   the reader sees it after all chunks that were good.
 */
#include "image/decompress.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "image/decompress_internal.h"

#define CHUNK_SIZE ((size_t)256 * 1024)
#define RING_SLOTS 6
#define IN_SIZE    ((size_t)128 * 1024)
#define RATIO_FROM (1ull << 30)

enum failure {
        FAIL_NONE,
        FAIL_READ,
        FAIL_TEE,
        FAIL_DAMAGED,
        FAIL_TRUNCATED,
        FAIL_TRAILING,
        FAIL_WINDOW,
        FAIL_MEMORY,
        FAIL_SIZE_MORE,
        FAIL_SIZE_LESS,
        FAIL_MAX_SIZE,
        FAIL_MAX_CONTENT,
        FAIL_RATIO,
};

struct chunk {
        unsigned char *data;
        size_t n;
        uint64_t source_bytes; /* when it was made: for progress */
};

struct stream {
        struct stream_opts o;
        char *what;
        enum stream_format format;

        /* The producer's side. */
        const struct decoder_ops *ops; /* NULL: plain */
        struct decoder *decoder;
        unsigned char *in;
        size_t in_pos, in_len;
        bool in_eof, between_members, padding, is_pipe;
        uint64_t source_bytes, content_bytes;
        EVP_MD_CTX *source_md, *content_md; /* source_md is NULL when both would be the same */

        /* The ring; with a thread everything below is guarded by lock. */
        struct chunk slots[RING_SLOTS];
        size_t n_slots, head, tail, filled;
        bool done, stop;
        enum failure failure;
        int failure_errno;
        pthread_mutex_t lock;
        pthread_cond_t not_empty, not_full;
        pthread_t thread;
        bool have_thread;
        int stop_fd;

        /* The reader's side. */
        bool have_chunk;
        size_t pos;
};

const char *stream_format_name(enum stream_format f)
{
        return decoders[f].name;
}

enum stream_format stream_format(const struct stream *s)
{
        return s->format;
}

const char *stream_what(const struct stream *s)
{
        return s->what;
}

/* ---- producer ---- */

static enum failure fail_errno(struct stream *s, enum failure f, int errnum)
{
        s->failure_errno = errnum;
        return f;
}

/* A reader that gives up must not wait for a writer that sends nothing: with a thread, both are watched. */
static int wait_readable(struct stream *s)
{
        struct pollfd p[] = {{.fd = s->o.fd, .events = POLLIN},
                             {.fd = s->stop_fd, .events = POLLIN}};

        while (poll(p, 2, -1) < 0)
                if (errno != EINTR)
                        return -errno;
        return p[1].revents ? -ECANCELED : 0;
}

static ssize_t source_read(struct stream *s, void *buf, size_t n)
{
        ssize_t r;

        if (s->o.read)
                return s->o.read(s->o.userdata, buf, n);
        if (s->is_pipe && s->stop_fd >= 0) {
                r = wait_readable(s);
                if (r < 0)
                        return r;
        }
        do
                r = read(s->o.fd, buf, n);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r;
}

/* Once per piece of the source: limits, tee and digest. */
static enum failure source_account(struct stream *s, const void *buf, size_t n)
{
        s->source_bytes += n;
        if (s->o.size && s->source_bytes > s->o.size)
                return FAIL_SIZE_MORE;
        if (s->o.max_size && s->source_bytes > s->o.max_size)
                return FAIL_MAX_SIZE;
        if (s->source_md)
                EVP_DigestUpdate(s->source_md, buf, n);
        if (s->o.tee_fd >= 0) {
                int r = io_write_full(s->o.tee_fd, buf, n);

                if (r < 0)
                        return fail_errno(s, FAIL_TEE, -r);
        }
        return FAIL_NONE;
}

/* Reads into @buf until it is full or the source ends. */
static enum failure source_fill(struct stream *s, unsigned char *buf, size_t room, size_t *ret_n)
{
        size_t n = 0;

        while (n < room && !s->in_eof) {
                ssize_t r = source_read(s, buf + n, room - n);

                if (r < 0)
                        return fail_errno(s, FAIL_READ, (int)-r);
                if (r == 0)
                        s->in_eof = true;
                n += (size_t)r;
        }
        *ret_n = n;
        if (s->in_eof && s->o.size && s->source_bytes + n < s->o.size)
                return FAIL_SIZE_LESS;
        return source_account(s, buf, n);
}

/* Zeros behind the last member are padding (tapes, block devices); anything else there is an attempt to hide something or damage. */
static enum failure skip_padding(struct stream *s)
{
        while (s->in_pos < s->in_len)
                if (s->in[s->in_pos++] != 0)
                        return FAIL_TRAILING;
        return FAIL_NONE;
}

static enum failure decode_failure(enum decode_result r)
{
        switch (r) {
        case DECODE_TOO_BIG:
                return FAIL_WINDOW;
        case DECODE_NO_MEMORY:
                return FAIL_MEMORY;
        case DECODE_MORE:
        case DECODE_BOUNDARY:
                return FAIL_NONE;
        case DECODE_DAMAGED:
        default:
                return FAIL_DAMAGED;
        }
}

static enum failure refill(struct stream *s)
{
        s->in_pos = 0;
        return source_fill(s, s->in, IN_SIZE, &s->in_len);
}

/* One call of the decoder; *ret_end at the end of everything. */
static enum failure decode_step(struct stream *s, struct chunk *c, bool *ret_end)
{
        struct decode_window w;
        enum decode_result r;
        size_t before = c->n;

        if (s->between_members && s->in_pos < s->in_len) {
                if (s->in[s->in_pos] == 0)
                        s->padding = true;
                else if (s->ops->reset(s->decoder) != DECODE_MORE)
                        return FAIL_MEMORY;
                s->between_members = s->padding;
        }
        if (s->padding)
                return skip_padding(s);
        if (s->between_members) { /* and the source is at its end */
                *ret_end = true;
                return FAIL_NONE;
        }
        w = (struct decode_window){.in = s->in + s->in_pos,
                                   .in_len = s->in_len - s->in_pos,
                                   .out = c->data + c->n,
                                   .out_len = CHUNK_SIZE - c->n};
        r = s->ops->run(s->decoder, &w);
        s->in_pos = s->in_len - w.in_len;
        c->n = CHUNK_SIZE - w.out_len;
        if (r == DECODE_BOUNDARY)
                s->between_members = true;
        else if (r == DECODE_MORE && s->in_eof && s->in_pos == s->in_len && c->n == before)
                return FAIL_TRUNCATED;
        return decode_failure(r);
}

static enum failure decode_chunk(struct stream *s, struct chunk *c)
{
        bool end = false;

        while (c->n < CHUNK_SIZE && !end) {
                enum failure f = FAIL_NONE;

                if (s->in_pos == s->in_len && !s->in_eof)
                        f = refill(s);
                if (f == FAIL_NONE && s->padding && s->in_pos == s->in_len && s->in_eof)
                        break;
                if (f == FAIL_NONE)
                        f = decode_step(s, c, &end);
                if (f != FAIL_NONE)
                        return f;
        }
        return FAIL_NONE;
}

static enum failure plain_chunk(struct stream *s, struct chunk *c)
{
        size_t n = s->in_len - s->in_pos;

        /* What was read to sniff the format comes first; it is hashed as content below. */
        memcpy(c->data, s->in + s->in_pos, n);
        s->in_pos = s->in_len;
        c->n = n;
        if (s->in_eof)
                return FAIL_NONE;
        enum failure f = source_fill(s, c->data + n, CHUNK_SIZE - n, &n);
        if (f == FAIL_NONE)
                c->n += n;
        return f;
}

static enum failure produce(struct stream *s, struct chunk *c)
{
        enum failure f;

        c->n = 0;
        f = s->ops ? decode_chunk(s, c) : plain_chunk(s, c);
        if (f != FAIL_NONE)
                return f;
        s->content_bytes += c->n;
        c->source_bytes = s->source_bytes;
        if (s->content_md)
                EVP_DigestUpdate(s->content_md, c->data, c->n);
        if (s->o.max_content && s->content_bytes > s->o.max_content)
                return FAIL_MAX_CONTENT;
        if (s->o.max_ratio && s->content_bytes > RATIO_FROM &&
            s->content_bytes / s->o.max_ratio > s->source_bytes)
                return FAIL_RATIO;
        return FAIL_NONE;
}

/* ---- the thread ---- */

static void *thread_main(void *arg)
{
        struct stream *s = arg;
        bool done = false;

        while (!done) {
                struct chunk *c;
                enum failure f;

                pthread_mutex_lock(&s->lock);
                while (s->filled == s->n_slots && !s->stop)
                        pthread_cond_wait(&s->not_full, &s->lock);
                done = s->stop;
                c = &s->slots[s->head];
                pthread_mutex_unlock(&s->lock);
                if (done)
                        break;
                f = produce(s, c);
                pthread_mutex_lock(&s->lock);
                if (f == FAIL_NONE && c->n > 0) {
                        s->head = (s->head + 1) % s->n_slots;
                        s->filled++;
                } else {
                        s->failure = f;
                        s->done = done = true;
                }
                pthread_cond_signal(&s->not_empty);
                pthread_mutex_unlock(&s->lock);
        }
        return NULL;
}

static int thread_start(struct stream *s, struct err **reterr)
{
        sigset_t all, old;
        int r;

        s->stop_fd = eventfd(0, EFD_CLOEXEC);
        if (s->stop_fd < 0)
                return err_sys(reterr, errno, "%s: eventfd", s->what);
        /* Signals stay with the main thread, which knows what to do with them. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = pthread_create(&s->thread, NULL, thread_main, s);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (r != 0)
                return err_sys(reterr, r, "%s: start a thread", s->what);
        s->have_thread = true;
        return 0;
}

static void thread_stop(struct stream *s)
{
        uint64_t one = 1;

        if (!s->have_thread)
                return;
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_signal(&s->not_full);
        pthread_mutex_unlock(&s->lock);
        (void)io_write_full(s->stop_fd, &one, sizeof(one));
        pthread_join(s->thread, NULL);
        s->have_thread = false;
}

/* ---- reader ---- */

static int fail_words(const struct stream *s, struct err **reterr)
{
        const char *format = decoders[s->format].name;

        switch (s->failure) {
        case FAIL_READ:
                return err_sys(reterr, s->failure_errno, "%s: read", s->what);
        case FAIL_TEE:
                return err_sys(reterr, s->failure_errno, "%s: keep a copy of the archive", s->what);
        case FAIL_TRUNCATED:
                return err_new(reterr, ERR_INVALID, "%s: the %s data end early", s->what, format);
        case FAIL_TRAILING:
                return err_new(reterr, ERR_INVALID, "%s: there is something behind the %s data",
                               s->what, format);
        case FAIL_WINDOW:
                return err_new(reterr, ERR_UNSUPPORTED,
                               "%s: unpacking the %s data takes more memory than allowed", s->what,
                               format);
        case FAIL_MEMORY:
                return err_sys(reterr, ENOMEM, "%s: decompress %s", s->what, format);
        case FAIL_SIZE_MORE:
                return err_new(reterr, ERR_INVALID, "%s: larger than the %llu bytes announced",
                               s->what, (unsigned long long)s->o.size);
        case FAIL_SIZE_LESS:
                return err_new(reterr, ERR_INVALID, "%s: ends before the %llu bytes announced",
                               s->what, (unsigned long long)s->o.size);
        case FAIL_MAX_SIZE:
                return err_new(reterr, ERR_INVALID, "%s: larger than the limit of %llu bytes",
                               s->what, (unsigned long long)s->o.max_size);
        case FAIL_MAX_CONTENT:
                return err_new(reterr, ERR_INVALID,
                               "%s: uncompressed larger than the limit of %llu bytes", s->what,
                               (unsigned long long)s->o.max_content);
        case FAIL_RATIO:
                return err_new(reterr, ERR_INVALID,
                               "%s: expands to more than %u times its size: a decompression bomb",
                               s->what, s->o.max_ratio);
        case FAIL_NONE:
        case FAIL_DAMAGED:
        default:
                return err_new(reterr, ERR_INVALID, "%s: damaged %s data", s->what, format);
        }
}

/* The chunk in hand is used up: gives it back. */
static void chunk_release(struct stream *s)
{
        if (!s->have_chunk)
                return;
        s->have_chunk = false;
        if (s->have_thread)
                pthread_mutex_lock(&s->lock);
        s->tail = (s->tail + 1) % s->n_slots;
        s->filled--;
        if (s->have_thread) {
                pthread_cond_signal(&s->not_full);
                pthread_mutex_unlock(&s->lock);
        }
}

/* Takes the next chunk; without one, s->done is set. */
static void chunk_acquire(struct stream *s)
{
        if (s->have_thread) {
                pthread_mutex_lock(&s->lock);
                while (s->filled == 0 && !s->done)
                        pthread_cond_wait(&s->not_empty, &s->lock);
                s->have_chunk = s->filled > 0;
                pthread_mutex_unlock(&s->lock);
        } else if (!s->done) {
                s->failure = produce(s, &s->slots[0]);
                s->done = s->failure != FAIL_NONE || s->slots[0].n == 0;
                s->have_chunk = !s->done;
                s->filled = s->have_chunk;
        }
        s->pos = 0;
        if (s->have_chunk && s->o.progress)
                s->o.progress(s->o.progress_data, s->slots[s->tail].source_bytes);
}

int stream_peek(struct stream *s, const void **ret, size_t *ret_n, struct err **reterr)
{
        if (s->have_chunk && s->pos == s->slots[s->tail].n)
                chunk_release(s);
        if (!s->have_chunk)
                chunk_acquire(s);
        if (!s->have_chunk) {
                if (s->failure != FAIL_NONE)
                        return fail_words(s, reterr);
                *ret = "";
                *ret_n = 0;
                return 0;
        }
        *ret = s->slots[s->tail].data + s->pos;
        *ret_n = s->slots[s->tail].n - s->pos;
        return 0;
}

void stream_consume(struct stream *s, size_t n)
{
        if (n == 0)
                return;
        assert(s->have_chunk && n <= s->slots[s->tail].n - s->pos);
        s->pos += n;
}

ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err **reterr)
{
        size_t done = 0;

        while (done < n) {
                const void *p;
                size_t len;
                int r = stream_peek(s, &p, &len, reterr);

                if (r < 0)
                        return r;
                if (len == 0)
                        break;
                len = MIN(len, n - done);
                memcpy((char *)buf + done, p, len);
                stream_consume(s, len);
                done += len;
        }
        return (ssize_t)done;
}

static void digest_text(EVP_MD_CTX *md, char ret[72])
{
        unsigned char sum[EVP_MAX_MD_SIZE];
        unsigned n = 0;

        EVP_DigestFinal_ex(md, sum, &n);
        assert(n == 32);
        memcpy(ret, "sha256:", 7);
        for (unsigned i = 0; i < n; i++) {
                ret[7 + 2 * i] = "0123456789abcdef"[sum[i] >> 4];
                ret[8 + 2 * i] = "0123456789abcdef"[sum[i] & 15];
        }
        ret[7 + 2 * n] = '\0';
}

int stream_finish(struct stream *s, struct stream_sums *ret, struct err **reterr)
{
        size_t n = 1;

        while (n > 0) {
                const void *p;
                int r = stream_peek(s, &p, &n, reterr);

                if (r < 0)
                        return r;
                stream_consume(s, n);
        }
        thread_stop(s);
        *ret = (struct stream_sums){.source_bytes = s->source_bytes,
                                    .content_bytes = s->content_bytes};
        if (s->content_md)
                digest_text(s->content_md, ret->content);
        if (s->source_md)
                digest_text(s->source_md, ret->source);
        else
                memcpy(ret->source, ret->content, sizeof(ret->source));
        return 0;
}

/* ---- making one ---- */

static EVP_MD_CTX *digest_make(void)
{
        EVP_MD_CTX *md = EVP_MD_CTX_new();

        if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
                EVP_MD_CTX_free(md);
                return NULL;
        }
        return md;
}

static int digests_start(struct stream *s, struct err **reterr)
{
        if (s->o.no_digest)
                return 0;
        s->content_md = digest_make();
        s->source_md = digest_make();
        if (!s->content_md || !s->source_md)
                return err_new(reterr, ERR_UNSUPPORTED, "%s: libcrypto gives no sha256", s->what);
        return 0;
}

/* The magic decides; for plain data one digest serves for both. */
static int format_start(struct stream *s, struct err **reterr)
{
        s->failure = refill(s);
        if (s->failure != FAIL_NONE)
                return fail_words(s, reterr);
        s->format = s->o.plain ? STREAM_PLAIN : decoder_sniff(s->in, s->in_len);
        if (s->format == STREAM_PLAIN) {
                EVP_MD_CTX_free(s->source_md);
                s->source_md = NULL;
                return 0;
        }
        s->ops = &decoders[s->format];
        s->decoder = s->ops->make();
        if (!s->decoder)
                return err_sys(reterr, ENOMEM, "%s: decompress %s", s->what, s->ops->name);
        return 0;
}

int stream_open(const struct stream_opts *o, struct stream **ret, struct err **reterr)
{
        AUTO(stream_freep) struct stream *s = xnew(struct stream);
        struct stat st;
        int r;

        s->o = *o;
        s->what = xstrdup(o->what ? o->what : "archive");
        s->o.what = s->what;
        s->stop_fd = -EBADF;
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->not_empty, NULL);
        pthread_cond_init(&s->not_full, NULL);
        s->is_pipe = !o->read && (fstat(o->fd, &st) < 0 || !S_ISREG(st.st_mode));
        s->in = xmalloc(IN_SIZE);
        r = digests_start(s, reterr);
        if (r < 0)
                return r;
        r = format_start(s, reterr);
        if (r < 0)
                return r;
        s->n_slots = o->threaded ? RING_SLOTS : 1;
        for (size_t i = 0; i < s->n_slots; i++)
                s->slots[i].data = xmalloc(CHUNK_SIZE);
        if (o->threaded) {
                r = thread_start(s, reterr);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}

struct stream *stream_free(struct stream *s)
{
        if (!s)
                return NULL;
        thread_stop(s);
        if (s->decoder)
                s->ops->free(s->decoder);
        for (size_t i = 0; i < RING_SLOTS; i++)
                free(s->slots[i].data);
        EVP_MD_CTX_free(s->source_md);
        EVP_MD_CTX_free(s->content_md);
        pthread_cond_destroy(&s->not_full);
        pthread_cond_destroy(&s->not_empty);
        pthread_mutex_destroy(&s->lock);
        (void)fd_close(s->stop_fd);
        free(s->in);
        free(s->what);
        free(s);
        return NULL;
}
