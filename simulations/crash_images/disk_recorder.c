/* Records what a process does to the files of one directory, and makes chosen operations fail.
 *
 * Loaded before libc (LD_PRELOAD), it stands between the database engine and the system. Each operation that changes
 * the directory is done and written to a trace, in one order for all threads. An armed fault strikes the n-th of them.
 * The record: kind 1 byte, 3 bytes of nothing, descriptor 4, number 8, payload length 8, payload (host byte order).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPENED = 1, WRITTEN, TRUNCATED, SYNCED, SYNCED_DIRECTORY, RENAMED, UNLINKED, MARKED };
enum fault { NO_FAULT, NO_SPACE, INPUT_OUTPUT, SHORT_WRITE, KILL, KILL_AMID };
enum watched { ELSEWHERE, FILE_WITHIN, THE_DIRECTORY };

struct record {
    uint8_t kind, nothing[3];
    int32_t descriptor;
    uint64_t number, length;
};

#define DESCRIPTORS 65536
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char directory[PATH_MAX];
static size_t directory_length;
static int trace = -1;
static unsigned char watched_by_descriptor[DESCRIPTORS];
static enum fault armed = NO_FAULT;
static long strikes_at, strikes_until, operations;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        fprintf(stderr, "the recorder finds no %s\n", name);
        abort();
    }
    return found;
}

static void note(enum kind kind, int descriptor, uint64_t number, const void *payload, size_t length) {
    if (trace < 0) return;
    struct record record = {.kind = kind, .descriptor = descriptor, .number = number, .length = length};
    struct iovec parts[2] = {{&record, sizeof record}, {(void *)payload, length}};
    if (REAL(writev)(trace, parts, 2) != (ssize_t)(sizeof record + length)) {
        fprintf(stderr, "the recorder cannot write its trace\n");
        abort();
    }
}

/* Returns the path within the directory ("" for the directory itself), NULL for a path elsewhere or a -shm file. */
static const char *within(int at, const char *path, char *buffer) {
    if (!directory_length || !path) return NULL;
    if (path[0] != '/') {
        char base[PATH_MAX], link[64];
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return NULL;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return NULL;
            base[length] = 0;
        }
        if (snprintf(buffer, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return NULL;
        path = buffer;
    }
    if (strncmp(path, directory, directory_length)) return NULL;
    if (!path[directory_length]) return path + directory_length;
    if (path[directory_length] != '/') return NULL;
    size_t length = strlen(path);
    if (length > 4 && !strcmp(path + length - 4, "-shm")) return NULL;
    return path + directory_length + 1;
}

static enum watched watched(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? watched_by_descriptor[descriptor] : ELSEWHERE;
}

/* Counts an operation; returns whether it must fail with errno, or be cut short (*length is lowered). */
static int strikes(size_t *length) {
    operations++;
    if (armed == NO_FAULT || operations < strikes_at || operations > strikes_until) return 0;
    switch (armed) {
    case NO_SPACE:
        errno = ENOSPC;
        return 1;
    case INPUT_OUTPUT:
        errno = EIO;
        return 1;
    case SHORT_WRITE:
        if (length && *length > 1) *length /= 2;
        return 0;
    case KILL_AMID:
        if (length && *length > 1) {
            *length /= 2;
            return 0;
        }
        /* fall through */
    default:
        kill(getpid(), SIGKILL);
        return 1;
    }
}

static void strike_after_half(void) {
    if (armed == KILL_AMID && operations >= strikes_at) kill(getpid(), SIGKILL);
}

static int opened(int descriptor, const char *name, int flags, int created) {
    if (descriptor < 0 || descriptor >= DESCRIPTORS) return descriptor;
    watched_by_descriptor[descriptor] = !name ? ELSEWHERE : *name ? FILE_WITHIN : THE_DIRECTORY;
    if (name && *name)
        note(OPENED, descriptor, (created ? 1 : 0) | (flags & O_TRUNC ? 2 : 0), name, strlen(name));
    return descriptor;
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *name = within(at, path, buffer);
    int created = 0;
    if (name && *name && flags & (O_CREAT | O_TRUNC)) {
        created = flags & O_CREAT && faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
        if ((created || flags & O_TRUNC) && strikes(NULL)) {
            pthread_mutex_unlock(&lock);
            return -1;
        }
    }
    int descriptor = opened(REAL(openat)(at, path, flags, mode), name, flags, created);
    pthread_mutex_unlock(&lock);
    return descriptor;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                 \
    int name(const char *path, int flags, ...) {   \
        va_list arguments;                         \
        va_start(arguments, flags);                \
        mode_t mode = mode_of(flags, arguments);   \
        va_end(arguments);                         \
        return open_at(AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(name)                                     \
    int name(int at, const char *path, int flags, ...) { \
        va_list arguments;                               \
        va_start(arguments, flags);                      \
        mode_t mode = mode_of(flags, arguments);         \
        va_end(arguments);                               \
        return open_at(at, path, flags, mode);           \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int descriptor) {
    pthread_mutex_lock(&lock);
    if (descriptor >= 0 && descriptor < DESCRIPTORS) watched_by_descriptor[descriptor] = ELSEWHERE;
    int answer = REAL(close)(descriptor);
    pthread_mutex_unlock(&lock);
    return answer;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
    if (watched(descriptor) != FILE_WITHIN) return REAL(write)(descriptor, bytes, length);
    pthread_mutex_lock(&lock);
    ssize_t written = strikes(&length) ? -1 : REAL(write)(descriptor, bytes, length);
    if (written > 0) note(WRITTEN, descriptor, lseek(descriptor, 0, SEEK_CUR) - written, bytes, written);
    strike_after_half();
    pthread_mutex_unlock(&lock);
    return written;
}

static ssize_t write_at(int descriptor, const void *bytes, size_t length, off_t offset) {
    if (watched(descriptor) != FILE_WITHIN) return REAL(pwrite)(descriptor, bytes, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t written = strikes(&length) ? -1 : REAL(pwrite)(descriptor, bytes, length, offset);
    if (written > 0) note(WRITTEN, descriptor, offset, bytes, written);
    strike_after_half();
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    return write_at(descriptor, bytes, length, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
    return write_at(descriptor, bytes, length, offset);
}

/* A vector is written as its first part: a short write, after which every caller goes on. */
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (watched(descriptor) != FILE_WITHIN || count < 1) return REAL(writev)(descriptor, parts, count);
    return write(descriptor, parts[0].iov_base, parts[0].iov_len);
}

static int truncate_to(int descriptor, off_t length) {
    if (watched(descriptor) != FILE_WITHIN) return REAL(ftruncate)(descriptor, length);
    pthread_mutex_lock(&lock);
    int answer = strikes(NULL) ? -1 : REAL(ftruncate)(descriptor, length);
    if (!answer) note(TRUNCATED, descriptor, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return answer;
}

int ftruncate(int descriptor, off_t length) { return truncate_to(descriptor, length); }
int ftruncate64(int descriptor, off64_t length) { return truncate_to(descriptor, length); }

static int sync_with(int (*really)(int), int descriptor) {
    if (watched(descriptor) == ELSEWHERE) return really(descriptor);
    pthread_mutex_lock(&lock);
    int answer = strikes(NULL) ? -1 : really(descriptor);
    if (!answer) note(watched(descriptor) == THE_DIRECTORY ? SYNCED_DIRECTORY : SYNCED, descriptor, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return answer;
}

int fsync(int descriptor) { return sync_with(REAL(fsync), descriptor); }
int fdatasync(int descriptor) { return sync_with(REAL(fdatasync), descriptor); }

int unlinkat(int at, const char *path, int flags) {
    char buffer[PATH_MAX];
    const char *name = within(at, path, buffer);
    if (!name) return REAL(unlinkat)(at, path, flags);
    pthread_mutex_lock(&lock);
    /* What gives room needs none. */
    int answer = armed != NO_SPACE && strikes(NULL) ? -1 : REAL(unlinkat)(at, path, flags);
    if (!answer) note(UNLINKED, -1, 0, name, strlen(name));
    pthread_mutex_unlock(&lock);
    return answer;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int renameat(int from_at, const char *from, int to_at, const char *to) {
    char buffer[PATH_MAX], other[PATH_MAX], both[2 * PATH_MAX];
    const char *old = within(from_at, from, buffer), *new = within(to_at, to, other);
    if (!old && !new) return REAL(renameat)(from_at, from, to_at, to);
    if (!old || !new) {
        /* A file that comes from elsewhere, or goes there, has a past that was not recorded. */
        errno = EXDEV;
        return -1;
    }
    pthread_mutex_lock(&lock);
    int answer = strikes(NULL) ? -1 : REAL(renameat)(from_at, from, to_at, to);
    size_t length = snprintf(both, sizeof both, "%s/%s", old, new);
    if (!answer) note(RENAMED, -1, 0, both, length);
    pthread_mutex_unlock(&lock);
    return answer;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

/* What the recording process calls. */

int recorder_watch(const char *path, const char *trace_path) {
    pthread_mutex_lock(&lock);
    if (trace >= 0) REAL(close)(trace);
    trace = trace_path ? REAL(openat)(AT_FDCWD, trace_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    directory_length = path ? strlen(path) : 0;
    if (directory_length >= sizeof directory || (trace_path && trace < 0)) abort();
    memcpy(directory, path ? path : "", directory_length + 1);
    pthread_mutex_unlock(&lock);
    return trace;
}

void recorder_mark(uint64_t number) {
    pthread_mutex_lock(&lock);
    note(MARKED, -1, number, NULL, 0);
    pthread_mutex_unlock(&lock);
}

void recorder_arm(int fault, long first, long last) {
    pthread_mutex_lock(&lock);
    armed = fault;
    strikes_at = first;
    strikes_until = last;
    operations = 0;
    pthread_mutex_unlock(&lock);
}

long recorder_operations(void) { return operations; }
