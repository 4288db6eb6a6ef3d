using System.Text.Json.Nodes;

namespace Runtara.Runner.Containers;

/// <summary>The system calls that a workflow may make: the reference's list, and what it lacks for .NET and newer C
/// libraries (environment protocol §6.1).</summary>
internal static class Seccomp
{
    private const string Files =
        "read write open openat close stat fstat lstat newfstatat lseek access faccessat faccessat2 "
        + "readlink readlinkat "
        + "getcwd dup dup2 dup3 fcntl flock fsync fdatasync ftruncate getdents getdents64 readv writev "
        + "pread64 pwrite64 "
        + "statfs fstatfs umask mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink "
        + "symlinkat chmod fchmod fchmodat chown fchown fchownat truncate";

    private const string Memory = "mmap mprotect munmap brk mremap madvise membarrier";

    private const string Processes =
        "clone clone3 execve execveat exit exit_group wait4 waitid getpid getppid gettid getuid getgid geteuid getegid "
        + "getgroups setuid setgid setresuid setresgid setgroups set_tid_address set_robust_list get_robust_list prctl "
        + "arch_prctl capget capset sched_yield sched_getaffinity sched_setaffinity rseq";

    private const string Signals = "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack kill tgkill";

    private const string Network =
        "socket socketpair connect accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown "
        + "bind listen "
        + "getsockname getpeername setsockopt getsockopt poll ppoll select pselect6 epoll_create epoll_create1 "
        + "epoll_ctl "
        + "epoll_wait epoll_pwait epoll_pwait2";

    private const string Time = "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday";

    private const string Other =
        "getrandom uname sysinfo prlimit64 getrlimit futex pipe pipe2 eventfd eventfd2 timerfd_create timerfd_settime "
        + "timerfd_gettime ioctl";

    private const string Added =
        "statx sendfile copy_file_range fallocate utimensat mlock mlock2 munlock getrusage tkill restart_syscall "
        + "close_range memfd_create chdir fchdir fchmodat2 creat fadvise64 readahead preadv pwritev preadv2 pwritev2 "
        + "sync_file_range splice tee getpgrp getpgid setpgid getsid setsid getresuid getresgid vfork fork alarm pause "
        + "getitimer setitimer time times getcpu get_mempolicy mincore msync rt_sigpending rt_sigsuspend "
        + "rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo signalfd signalfd4 inotify_init inotify_init1 "
        + "inotify_add_watch inotify_rm_watch pidfd_open pidfd_send_signal setrlimit setpriority getpriority "
        + "sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max "
        + "sched_get_priority_min futex_wait futex_wake futex_waitv futex_requeue timer_create timer_settime "
        + "timer_gettime timer_getoverrun timer_delete utime utimes futimesat sync syncfs";

    // ENOSYS makes C libraries fall back to the older call where EPERM, crun's default, makes them fail.
    private const int Enosys = 38;

    internal static JsonObject ToJson() => new()
    {
        ["defaultAction"] = "SCMP_ACT_ERRNO",
        ["defaultErrnoRet"] = Enosys,
        ["architectures"] = new JsonArray("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"),
        ["syscalls"] = new JsonArray(new JsonObject
        {
            ["names"] = Names(),
            ["action"] = "SCMP_ACT_ALLOW",
        }),
    };

    private static JsonArray Names()
    {
        string[] groups = [Files, Memory, Processes, Signals, Network, Time, Other, Added];
        return new JsonArray(groups.SelectMany(g => g.Split(' ')).Select(n => (JsonNode)n).ToArray());
    }
}
