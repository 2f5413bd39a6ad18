/* Lets system calls on files of one folder fail: preloaded into a rank of a program.
 *
 *     INJECT_FOLDER  absolute path of the folder
 *     INJECT_CALL    open, read, write, fsync, rename, truncate, allocate or close
 *     INJECT_FROM    the first call of that kind that fails, counted from 1
 *     INJECT_COUNT   how many fail from there on
 *     INJECT_ERRNO   the error
 *     INJECT_TALLY   file that gets the number of calls of each kind when the program ends
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, READ, WRITE, FSYNC, RENAME, TRUNCATE, ALLOCATE, CLOSE, KINDS };
static const char *const names[KINDS] = {"open", "read", "write", "fsync", "rename", "truncate", "allocate", "close"};
static atomic_long calls[KINDS];

static const char *folder;
static int kind = -1, error;
static long from, count;

__attribute__((constructor)) static void start(void)
{
    const char *call = getenv("INJECT_CALL");
    folder = getenv("INJECT_FOLDER");
    for (int k = 0; call && k < KINDS; k++)
        if (!strcmp(call, names[k]))
            kind = k;
    from = atol(getenv("INJECT_FROM") ? getenv("INJECT_FROM") : "0");
    count = atol(getenv("INJECT_COUNT") ? getenv("INJECT_COUNT") : "1");
    error = atoi(getenv("INJECT_ERRNO") ? getenv("INJECT_ERRNO") : "5");
}

__attribute__((destructor)) static void finish(void)
{
    const char *tally = getenv("INJECT_TALLY");
    FILE *file = tally ? fopen(tally, "w") : NULL;
    for (int k = 0; file && k < KINDS; k++)
        fprintf(file, "%s %ld\n", names[k], (long)calls[k]);
    if (file)
        fclose(file);
}

static int is_inside(const char *path)
{
    size_t length = folder ? strlen(folder) : 0;
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static int is_path(int at, const char *path)
{
    char whole[2 * PATH_MAX + 2], start[PATH_MAX] = "", link[64];
    if (path[0] == '/')
        return is_inside(path);
    if (at == AT_FDCWD) {
        if (!getcwd(start, sizeof start))
            return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, start, sizeof start - 1);
        if (length < 0)
            return 0;
        start[length] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", start, path);
    return is_inside(whole);
}

static int is_file(int fd)
{
    char link[64], path[PATH_MAX];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = folder ? readlink(link, path, sizeof path - 1) : -1;
    errno = before;
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_inside(path);
}

/* Whether this call is to fail. */
static int fails(enum kind call, int is_ours)
{
    if (!is_ours)
        return 0;
    long number = ++calls[call];
    if ((int)call != kind || number < from || number >= from + count)
        return 0;
    errno = error;
    return 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        return fails(OPEN, is_path(at, path)) ? -1 : real(at, path, flags, mode); \
    }
#define OPEN_(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        return fails(OPEN, is_path(AT_FDCWD, path)) ? -1 : real(path, flags, mode); \
    }
OPEN_(open)
OPEN_(open64)
OPENAT(openat)
OPENAT(openat64)

#define ON_FILE(kind, result, name, parameters, arguments) \
    result name parameters \
    { \
        REAL(name); \
        return fails(kind, is_file(fd)) ? -1 : real arguments; \
    }
ON_FILE(READ, ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
ON_FILE(READ, ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
ON_FILE(READ, ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
ON_FILE(READ, ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))
ON_FILE(WRITE, ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
ON_FILE(WRITE, ssize_t, pwrite, (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
ON_FILE(WRITE, ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t at), (fd, b, n, at))
ON_FILE(WRITE, ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
ON_FILE(FSYNC, int, fsync, (int fd), (fd))
ON_FILE(FSYNC, int, fdatasync, (int fd), (fd))
ON_FILE(FSYNC, int, sync_file_range, (int fd, off64_t at, off64_t n, unsigned flags), (fd, at, n, flags))
ON_FILE(TRUNCATE, int, ftruncate, (int fd, off_t n), (fd, n))
ON_FILE(TRUNCATE, int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_FILE(ALLOCATE, int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
ON_FILE(ALLOCATE, int, fallocate64, (int fd, int mode, off64_t at, off64_t n), (fd, mode, at, n))

/* A file that could not be closed is closed nevertheless. */
int close(int fd)
{
    REAL(close);
    int failed = fails(CLOSE, is_file(fd));
    int result = real(fd);
    if (failed)
        errno = error;
    return failed ? -1 : result;
}

int rename(const char *old, const char *new)
{
    REAL(rename);
    return fails(RENAME, is_path(AT_FDCWD, old)) ? -1 : real(old, new);
}

int renameat(int from_at, const char *old, int to_at, const char *new)
{
    REAL(renameat);
    return fails(RENAME, is_path(from_at, old)) ? -1 : real(from_at, old, to_at, new);
}
