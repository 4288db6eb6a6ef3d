// Runs one command to its end and writes down how it ended, whether or not the daemon that started it still lives.
//
//     supervise DIRECTORY STDERR_BYTES_MAX COMMAND [ARGUMENT]...
//
// Descriptor 2 is the file for the command's standard error: all of it up to the limit, beyond that the beginning and
// the end. The end is a ring behind the beginning, put in order when the command has ended. Descriptor 3 is a file
// that the daemon has locked: the lock is ours for as long as we live, so who can lock it knows that we are gone.
// DIRECTORY/supervisor gets our process id before the command starts; DIRECTORY/exit how it ended, by a rename:
//
//     1 CODE SIGNAL ERRNO CPU_MICROSECONDS PEAK_BYTES\n      then the last 4 KiB of standard error
//
// SIGNAL is 0 after an exit; ERRNO is not 0 when the command could not be executed. Without a record the exit code is
// the error number of what could not be set up. This is C because a container has one of these for as long as it runs,
// and one that is a few pages small starts in half a millisecond.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG = 2, LOCK = 3, TAIL = 4096, CHUNK = 16 * 1024, RECORD = 2 * TAIL };

static long long headMax, ringMax, written;
static char tail[TAIL];
static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2 };

static void path(char *buffer, const char *directory, const char *name)
{
    if (snprintf(buffer, 4096, "%s/%s", directory, name) >= 4096)
        _exit(ENAMETOOLONG);
}

static void keepTail(const char *bytes, size_t count)
{
    size_t skip = count > TAIL ? count - TAIL : 0;
    for (size_t i = skip; i < count; i++)
        tail[(written + (long long)i) % TAIL] = bytes[i];
}

// A full disk costs the log, not the run: the tail is in memory.
static void append(const char *bytes, size_t count)
{
    long long position = written;
    keepTail(bytes, count);
    written += (long long)count;
    while (count > 0) {
        int inHead = position < headMax;
        long long at = inHead ? position : headMax + (position - headMax) % ringMax;
        long long room = (inHead ? headMax : headMax + ringMax) - at;
        size_t part = (long long)count < room ? count : (size_t)room;
        if (pwrite(LOG, bytes, part, at) != (ssize_t)part)
            return;
        bytes += part;
        count -= part;
        position += (long long)part;
    }
}

static void putInOrder(void)
{
    long long dropped = written - headMax - ringMax;
    char marker[64];
    char *ring = dropped > 0 ? malloc((size_t)ringMax) : NULL;
    if (!ring || pread(LOG, ring, (size_t)ringMax, headMax) != ringMax) {
        free(ring);
        return;
    }
    long long start = (written - headMax) % ringMax;
    int length = snprintf(marker, sizeof marker, "\n[%lld bytes left out]\n", dropped);
    if (pwrite(LOG, marker, (size_t)length, headMax) == length
        && pwrite(LOG, ring + start, (size_t)(ringMax - start), headMax + length) == ringMax - start)
        (void)!pwrite(LOG, ring, (size_t)start, headMax + length + ringMax - start);
    free(ring);
}

// By posix_spawn, which copies no page tables.
static pid_t start(char **command, int *output, int *failure)
{
    int pipe[2];
    pid_t child = 0;
    sigset_t none, defaults;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    if (pipe2(pipe, O_CLOEXEC))
        _exit(errno);
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
        sigaddset(&defaults, forwarded[i]);
    if ((errno = posix_spawnattr_init(&attributes)) || (errno = posix_spawn_file_actions_init(&actions))
        || (errno = posix_spawn_file_actions_adddup2(&actions, pipe[1], 2)))
        _exit(errno);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    *failure = posix_spawnp(&child, command[0], &actions, &attributes, command, environ);
    close(pipe[1]);
    *output = pipe[0];
    return *failure ? 0 : child;
}

// Until the child has ended and what it wrote is read. A pipe holds 64 KiB: more than that after the end comes from
// somebody else who has it open still.
static void follow(pid_t child, int output, int signals, int *status, struct rusage *usage)
{
    static char buffer[CHUNK];
    int ended = 0;
    for (int drains = 0; drains < 8;) {
        struct pollfd polled[] = { { ended ? -1 : signals, POLLIN, 0 }, { output, POLLIN, 0 } };
        if (poll(polled, 2, ended ? 0 : -1) < 0)
            continue;
        if (!ended && polled[0].revents) {
            struct signalfd_siginfo seen;
            if (read(signals, &seen, sizeof seen) > 0)
                ended = wait4(child, status, WNOHANG, usage) == child;
        }
        if (polled[1].revents) {
            ssize_t count = read(output, buffer, sizeof buffer);
            if (count > 0)
                append(buffer, (size_t)count);
            else if (count == 0 || errno != EINTR)
                output = -1;
            drains += ended;
        } else if (ended) {
            return;
        }
    }
}

static void record(const char *from, const char *to, int file, int failure, int status, const struct rusage *usage)
{
    static char text[RECORD];
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    long long cpu = (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000LL + usage->ru_utime.tv_usec
        + usage->ru_stime.tv_usec;
    int length = snprintf(text, TAIL, "1 %d %d %d %lld %lld\n", signal ? 0 : WEXITSTATUS(status), signal, failure,
        cpu, usage->ru_maxrss * 1024LL);
    long long count = written < TAIL ? written : TAIL;
    for (long long i = written - count; i < written; i++)
        text[length++] = tail[i % TAIL];
    if (pwrite(file, text, (size_t)length, 0) == length && ftruncate(file, length) == 0)
        rename(from, to);
}

int main(int count, char **arguments)
{
    static char partial[4096], done[4096], own[4096];
    struct rusage usage = { 0 };
    int status = 0, failure = 0, output = -1;
    if (count < 4)
        return EINVAL;
    long long limit = atoll(arguments[2]);
    headMax = limit / 2;
    ringMax = limit - headMax;
    path(partial, arguments[1], "exit.tmp");
    path(done, arguments[1], "exit");
    path(own, arguments[1], "supervisor");
    fcntl(LOG, F_SETFD, FD_CLOEXEC);
    fcntl(LOCK, F_SETFD, FD_CLOEXEC);

    // The record's room is taken now: a disk that is full at the end must not cost the exit.
    int file = open(partial, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    int pidFile = open(own, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0 || pidFile < 0)
        return errno;
    int full = posix_fallocate(file, 0, RECORD);
    if (full || dprintf(pidFile, "%d", getpid()) < 0)
        return full ? full : errno;
    close(pidFile);

    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
        signal(forwarded[i], SIG_IGN);
    int signals = signalfd(-1, &child, SFD_CLOEXEC);
    pid_t process = start(arguments + 3, &output, &failure);
    if (process > 0)
        follow(process, output, signals, &status, &usage);
    putInOrder();
    record(partial, done, file, failure, status, &usage);
    return 0;
}
